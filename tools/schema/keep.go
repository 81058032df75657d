package main

// client-go is read as a source of data, not called; this keeps it in go.mod.
import _ "k8s.io/client-go/applyconfigurations/meta/v1"
