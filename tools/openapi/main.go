// Command openapi makes the OpenAPI document of the JSON surface, and the page that says who may call what for which purpose. It begins with what
// protoc-gen-openapiv3 writes, one document for each file of the contract, and adds what that generator does not know: the rules of
// protovalidate as limits, what an answer always holds, the headers, the refusals, the purposes of the district's access table, examples,
// and one style of names.
//
//	openapi -descriptors lianhu.binpb -access access.yaml -document openapi.json -page calls.md FILE...
//	openapi -older <openapi.json >openapi-3.0.json
//
// The descriptor set has the comments in it. -older makes the edition for generators that do not read OpenAPI 3.1 yet.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// object is a JSON object.
type object = map[string]any

func main() {
	older := flag.Bool("older", false, "rewrite the document on standard input as OpenAPI 3.0")
	descriptors := flag.String("descriptors", "", "the contract as a descriptor set")
	access := flag.String("access", "", "the district's access table")
	document := flag.String("document", "", "file to write the OpenAPI document to")
	page := flag.String("page", "", "file to write the page of calls to")
	flag.Parse()
	work := func() error { return run(*descriptors, *access, *document, *page, flag.Args()) }
	if *older {
		work = func() error { return edition30(os.Stdin, os.Stdout) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(descriptors, access, document, page string, parts []string) error {
	files, err := contract(descriptors)
	if err != nil {
		return err
	}
	table, err := readTable(access)
	if err != nil {
		return err
	}
	whole, err := merge(parts)
	if err != nil {
		return err
	}
	d := &doc{whole: whole, schemas: whole["components"].(object)["schemas"].(object), files: files, table: table}
	if err := d.complete(); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := write(&text, d.whole); err != nil {
		return err
	}
	if err := os.WriteFile(document, text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(d.page()), 0o644)
}

func write(out io.Writer, document object) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(document)
}

// edition30 leaves out what OpenAPI 3.0 has no word for: the client certificate as a way to be known, and the short form of a licence.
func edition30(in io.Reader, out io.Writer) error {
	var document object
	if err := json.NewDecoder(in).Decode(&document); err != nil {
		return err
	}
	document["openapi"] = "3.0.3"
	delete(document, "security")
	delete(document["components"].(object), "securitySchemes")
	delete(document["info"].(object)["license"].(object), "identifier")
	return write(out, document)
}

func contract(descriptors string) (*protoregistry.Files, error) {
	raw, err := os.ReadFile(descriptors)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("%s is not a descriptor set: %w", descriptors, err)
	}
	return protodesc.NewFiles(set)
}

// merge joins the documents of the single files. Two of them may tell of one path (a read and a write), never of one call, and a shape that stands
// in several is the same in each.
func merge(parts []string) (object, error) {
	paths, schemas := object{}, object{}
	for _, name := range parts {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var part struct {
			Paths      map[string]object
			Components struct{ Schemas object }
		}
		if err := json.Unmarshal(raw, &part); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for path, calls := range part.Paths {
			there, _ := paths[path].(object)
			if there == nil {
				there = object{}
				paths[path] = there
			}
			for verb, call := range calls {
				if there[verb] != nil {
					return nil, fmt.Errorf("%s: %s %s stands in another file too", name, verb, path)
				}
				there[verb] = call
			}
		}
		for schema, shape := range part.Components.Schemas {
			schemas[schema] = shape
		}
	}
	return object{"openapi": "3.1.0", "paths": paths, "components": object{"schemas": schemas}}, nil
}
