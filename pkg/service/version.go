package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/postgres"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Version says what is running. Two services that answer different district digests disagree about the rules.
func (r *Runtime) Version(ctx context.Context) (*accessv1.ServiceVersion, error) {
	schema, err := postgres.SchemaVersion(ctx, r.Engine.DB)
	if err != nil {
		return nil, err
	}
	return &accessv1.ServiceVersion{
		Service: r.Name, Version: BuildVersion(), ContractDigest: ContractDigest(r.Name),
		DistrictCode: r.District.Code()[:6], DistrictVersion: r.District.Version(), DistrictDigest: r.District.Digest(), SchemaVersion: schema,
	}, nil
}

// BuildVersion is the version of the running program, as the Go toolchain stamped it; `(devel)` when it was built outside of a release.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// ContractDigest tells two editions of the contract apart: it is over the descriptors of the area and of the shapes all areas share.
func ContractDigest(area string) string {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		shared := slices.Contains([]protoreflect.FullName{"lianhu.access.v1", "lianhu.custody.v1", "lianhu.fault.v1", "lianhu.feed.v1", "lianhu.person.v1"}, file.Package())
		if shared || string(file.Package()) == "lianhu."+area+".v1" {
			files = append(files, file)
		}
		return true
	})
	slices.SortFunc(files, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	h := sha256.New()
	for _, file := range files {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			return "" // a descriptor that was linked in marshals
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}
