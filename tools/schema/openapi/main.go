// Makes the OpenAPI schemas of the kinds that the embedded cluster serves, with their descriptions, from what the
// Kubernetes 1.34.2 answers that kubectl's current context names: what `kubectl explain` prints.
//
//	cd tools/schema && go run ./openapi > ../../src/cluster/embedded/schema/openapi.json.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// roots are the served kinds by the document that describes them.
var roots = map[string][]string{
	"api/v1":                   {"core.v1.ConfigMap", "core.v1.Endpoints", "core.v1.Event", "core.v1.Namespace", "core.v1.Node", "core.v1.Pod", "core.v1.Secret", "core.v1.ServiceAccount", "core.v1.Service"},
	"apis/apps/v1":             {"apps.v1.Deployment", "apps.v1.ReplicaSet"},
	"apis/discovery.k8s.io/v1": {"discovery.v1.EndpointSlice"},
}

const reference = "#/components/schemas/"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	schemas := map[string]json.RawMessage{}
	for name, kinds := range roots {
		text, err := exec.Command("kubectl", "get", "--raw", "/openapi/v3/"+name).Output()
		if err != nil {
			return fmt.Errorf("read the document of %s: %w", name, err)
		}
		var document struct {
			Components struct{ Schemas map[string]json.RawMessage }
		}
		if err := json.Unmarshal(text, &document); err != nil {
			return err
		}
		for _, kind := range kinds {
			add("io.k8s.api."+kind, document.Components.Schemas, schemas)
		}
	}
	out, err := json.Marshal(schemas)
	if err != nil {
		return err
	}
	writer, err := gzip.NewWriterLevel(os.Stdout, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := writer.Write(out); err != nil {
		return err
	}
	return writer.Close()
}

// add keeps a type and what it refers to.
func add(name string, from, to map[string]json.RawMessage) {
	if _, done := to[name]; done {
		return
	}
	var short bytes.Buffer
	if json.Compact(&short, from[name]) != nil {
		return
	}
	to[name] = short.Bytes()
	for _, part := range strings.Split(short.String(), reference)[1:] {
		add(part[:strings.IndexByte(part, '"')], from, to)
	}
}
