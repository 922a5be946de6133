// Command errordoc reads a descriptor set with comments on standard input and writes docs/errors.md on standard output: every reason of the
// contract, what it means and what the caller does about it. Written by hand, the page would be wrong after the first new reason.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "errordoc:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return fmt.Errorf("standard input is not a descriptor set: %w", err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(`# Errors

Generated from the contract; ` + "`make generate`" + ` writes it. Each refusal carries ` + "`google.rpc.ErrorInfo`" + ` with domain ` + "`lianhu`" + ` and one of these reasons,
which never change their meaning. The registry's ` + "`ListErrorReasons`" + ` gives the same list to a program.

## Kinds

The kind of a reason fixes the gRPC and HTTP codes and what a caller does.

| kind | meaning |
|---|---|
`)
	kinds, err := enum(files, "lianhu.fault.v1.Kind")
	if err != nil {
		return err
	}
	for i := range kinds.Len() {
		row(&page, "`"+short(kinds.Get(i), "KIND_")+"`", comment(kinds.Get(i)))
	}
	for _, area := range []struct{ name, title string }{
		{"fault", "Shared by all areas"}, {"registry", "Registry"}, {"reporting", "Reporting"}, {"referral", "Referral"}, {"relief", "Relief"},
	} {
		reasons, err := enum(files, protoreflect.FullName("lianhu."+area.name+".v1.Reason"))
		if err != nil {
			return err
		}
		page.WriteString("\n## " + area.title + "\n\n| reason | kind | meaning | metadata | 提示 |\n|---|---|---|---|---|\n")
		for i := 1; i < reasons.Len(); i++ {
			meaning, metadata, _ := strings.Cut(comment(reasons.Get(i)), " Metadata: ")
			metadata, rest, shown := strings.Cut(metadata, "}")
			if !shown || !json.Valid([]byte(metadata+"}")) || meaning == "" {
				return fmt.Errorf("%s: its comment wants a meaning and then `Metadata: {...}` as JSON", reasons.Get(i).FullName())
			}
			info, _ := proto.GetExtension(reasons.Get(i).Options(), faultv1.E_Info).(*faultv1.ReasonInfo)
			row(&page, "`"+short(reasons.Get(i), "REASON_")+"`", strings.TrimPrefix(info.GetKind().String(), "KIND_"),
				meaning, "`"+metadata+"}`"+strings.TrimSuffix(rest, "."), info.GetZh())
		}
	}
	_, err = io.WriteString(out, page.String())
	return err
}

func enum(files *protoregistry.Files, name protoreflect.FullName) (protoreflect.EnumValueDescriptors, error) {
	found, err := files.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	return found.(protoreflect.EnumDescriptor).Values(), nil
}

func short(v protoreflect.EnumValueDescriptor, prefix string) string {
	return strings.TrimPrefix(string(v.Name()), prefix)
}

// comment is the leading comment as one line.
func comment(v protoreflect.EnumValueDescriptor) string {
	return strings.Join(strings.Fields(v.ParentFile().SourceLocations().ByDescriptor(v).LeadingComments), " ")
}

func row(page *strings.Builder, cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	page.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
