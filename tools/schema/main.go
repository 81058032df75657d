// Makes the table of Kubernetes' types that the embedded cluster works from: for each type its fields with their JSON
// names, protobuf numbers, patch strategies and merge keys (from the struct tags of k8s.io/api), and how server-side
// apply treats lists and maps (from the schema that k8s.io/client-go publishes for apply configurations).
//
//	cd tools/schema && go run . > ../../src/cluster/embedded/schema/definitions.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// roots are the kinds that the table must hold; what they reach comes along.
var roots = []any{
	appsv1.Deployment{}, appsv1.ReplicaSet{},
	authenticationv1.TokenRequest{}, authenticationv1.SelfSubjectReview{},
	authorizationv1.SelfSubjectAccessReview{}, authorizationv1.SelfSubjectRulesReview{},
	autoscalingv1.Scale{},
	corev1.Binding{}, corev1.ConfigMap{}, corev1.Endpoints{}, corev1.Event{}, corev1.Namespace{}, corev1.Node{},
	corev1.Pod{}, corev1.Secret{}, corev1.Service{}, corev1.ServiceAccount{},
	discoveryv1.EndpointSlice{},
	eventsv1.Event{},
	policyv1.Eviction{},
	metav1.DeleteOptions{}, metav1.Status{},
}

// field is written as short as it can be: the table is compiled into the program.
type field struct {
	Name     string   `json:"n"`
	Number   int      `json:"p,omitempty"`
	Type     string   `json:"t"`
	Strategy string   `json:"s,omitempty"`  // patchStrategy
	MergeKey string   `json:"k,omitempty"`  // patchMergeKey
	List     string   `json:"l,omitempty"`  // set, map; atomic where absent
	Keys     []string `json:"lk,omitempty"` // keys of a map list
	Atomic   bool     `json:"a,omitempty"`  // a map or struct that is replaced as a whole
	Omit     bool     `json:"o,omitempty"`  // left out by Go's encoder where it is zero or empty
	Null     bool     `json:"e,omitempty"`  // a list or pointer that Go's encoder writes as null where it is not set
	Required bool     `json:"r,omitempty"`  // a plain value that Go's encoder writes even where it is not set
	Zero     bool     `json:"z,omitempty"`  // a struct that Go writes even where nothing is set
}

type definition struct {
	Fields   []field        `json:"f"`
	Atomic   bool           `json:"a,omitempty"`
	Defaults map[string]any `json:"d,omitempty"` // defaults of key fields
}

// applyField is what the published schema says of a field.
type applyField struct {
	List    string
	Keys    []string
	Atomic  bool
	Default any
}

func main() {
	applied := appliedSchema()
	definitions := map[string]definition{}
	for _, root := range roots {
		walk(reflect.TypeOf(root), definitions, applied)
	}
	names := make([]string, 0, len(definitions))
	for name := range definitions {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Println("{")
	for i, name := range names {
		line, err := json.Marshal(definitions[name])
		check(err)
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		fmt.Printf("%q:%s%s\n", name, line, comma)
	}
	fmt.Println("}")
}

// definitionName is the name that Kubernetes' OpenAPI documents use: io.k8s.api.apps.v1.Deployment.
func definitionName(t reflect.Type) string {
	path := strings.TrimPrefix(t.PkgPath(), "k8s.io/")
	return "io.k8s." + strings.ReplaceAll(path, "/", ".") + "." + t.Name()
}

// special types are encoded otherwise than their fields say.
var special = map[string]string{
	"k8s.io/apimachinery/pkg/api/resource.Quantity":   "quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intstr",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":       "time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":  "microtime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":   "fields",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":    "raw",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":   "duration",
	"k8s.io/apimachinery/pkg/apis/meta/v1.TypeMeta":   "",
}

func typeName(t reflect.Type, definitions map[string]definition, applied map[string]map[string]applyField) string {
	if t.Kind() == reflect.Pointer {
		return typeName(t.Elem(), definitions, applied)
	}
	if name, ok := special[t.PkgPath()+"."+t.Name()]; ok {
		return name
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int32, reflect.Uint32, reflect.Uint8, reflect.Int8, reflect.Int16:
		return "int32"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "int64"
	case reflect.Float64, reflect.Float32:
		return "float64"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeName(t.Elem(), definitions, applied)
	case reflect.Map:
		return "{}" + typeName(t.Elem(), definitions, applied)
	case reflect.Struct:
		walk(t, definitions, applied)
		return definitionName(t)
	}
	panic("no name for " + t.String())
}

func walk(t reflect.Type, definitions map[string]definition, applied map[string]map[string]applyField) {
	name := definitionName(t)
	if _, ok := definitions[name]; ok {
		return
	}
	definitions[name] = definition{}
	result := definition{Atomic: applied[name][""].Atomic}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if f.Type.Name() == "TypeMeta" {
			result.Fields = append(result.Fields, field{Name: "kind", Type: "string"}, field{Name: "apiVersion", Type: "string"})
			continue
		}
		if tag[0] == "" { // an embedded struct whose fields stand in this one, as ProbeHandler's in Probe
			entry := field{Name: "", Type: typeName(f.Type, definitions, applied), Number: number(f)}
			result.Fields = append(result.Fields, entry)
			continue
		}
		said := applied[name][tag[0]]
		entry := field{
			Name: tag[0], Number: number(f), Type: typeName(f.Type, definitions, applied),
			Strategy: f.Tag.Get("patchStrategy"), MergeKey: f.Tag.Get("patchMergeKey"),
			List: said.List, Keys: said.Keys, Atomic: said.Atomic,
			Omit: slices.Contains(tag[1:], "omitempty") && isPlain(f.Type.Kind()),
			Null: !slices.Contains(tag[1:], "omitempty") && isNillable(f.Type.Kind()) ||
				strings.HasSuffix(special[f.Type.PkgPath()+"."+f.Type.Name()], "time") && !slices.Contains(tag[1:], "omitzero"),
			Required: !slices.Contains(tag[1:], "omitempty") && isPlain(f.Type.Kind()) && !isNillable(f.Type.Kind()) ||
				special[f.Type.PkgPath()+"."+f.Type.Name()] == "quantity",
			Zero: f.Type.Kind() == reflect.Struct && special[f.Type.PkgPath()+"."+f.Type.Name()] == "" &&
				!slices.Contains(tag[1:], "omitzero"),
		}
		if said.Default != nil {
			if result.Defaults == nil {
				result.Defaults = map[string]any{}
			}
			result.Defaults[tag[0]] = said.Default
		}
		result.Fields = append(result.Fields, entry)
	}
	definitions[name] = result
}

func isPlain(kind reflect.Kind) bool {
	return kind != reflect.Pointer && kind != reflect.Struct && kind != reflect.Interface
}

func isNillable(kind reflect.Kind) bool {
	return kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map
}

func number(f reflect.StructField) int {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	check(err)
	return n
}

// appliedSchema reads the schema that client-go ships for apply configurations.
func appliedSchema() map[string]map[string]applyField {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/client-go").Output()
	check(err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "applyconfigurations", "internal", "internal.go"))
	check(err)
	_, text, found := strings.Cut(string(source), "typed.YAMLObject(`")
	if !found {
		panic("the schema is not where it was")
	}
	text, _, _ = strings.Cut(text, "`")
	var schema struct {
		Types []struct {
			Name string
			Map  struct {
				ElementRelationship string
				Fields              []struct {
					Name    string
					Default any
					Type    struct {
						List *struct {
							ElementRelationship string
							Keys                []string
						}
						Map                 *struct{ ElementRelationship string }
						ElementRelationship string
					}
				}
			}
		}
	}
	check(yaml.Unmarshal([]byte(text), &schema))
	result := map[string]map[string]applyField{}
	for _, t := range schema.Types {
		fields := map[string]applyField{"": {Atomic: t.Map.ElementRelationship == "atomic"}}
		for _, f := range t.Map.Fields {
			var said applyField
			switch v := f.Default.(type) {
			case string, bool, float64:
				said.Default = v
			}
			if l := f.Type.List; l != nil && l.ElementRelationship == "associative" {
				said.List = "set"
				if len(l.Keys) > 0 {
					said.List, said.Keys = "map", l.Keys
				}
			}
			if m := f.Type.Map; m != nil {
				said.Atomic = m.ElementRelationship == "atomic"
			}
			if f.Type.ElementRelationship == "atomic" {
				said.Atomic = true
			}
			fields[f.Name] = said
		}
		result[t.Name] = fields
	}
	return result
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
