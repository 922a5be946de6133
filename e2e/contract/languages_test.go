package contract

import (
	"path"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

// Generators of other languages name what they write by the package options of a file and by the file itself. Where two files get one name, the
// later one overwrites the earlier or stops the generator.
func TestNoTwoFilesOfTheContractBecomeOneInJavaOrCSharp(t *testing.T) {
	java, csharp := map[string]string{}, map[string]string{}
	once := func(seen map[string]string, name, file string) {
		if first, taken := seen[name]; taken {
			t.Errorf("%s and %s both become %s", first, file, name)
		}
		seen[name] = file
	}
	for _, f := range files() {
		options, _ := f.Options().(*descriptorpb.FileOptions)
		area := strings.TrimSuffix(strings.TrimPrefix(string(f.Package()), "lianhu."), ".v1")
		if want := "com.lianhu." + area + ".v1"; options.GetJavaPackage() != want || !options.GetJavaMultipleFiles() {
			t.Errorf("%s: java_package %q with java_multiple_files %v, want %q with true",
				f.Path(), options.GetJavaPackage(), options.GetJavaMultipleFiles(), want)
		}
		if want := "Lianhu." + area + ".V1"; !strings.EqualFold(options.GetCsharpNamespace(), want) {
			t.Errorf("%s: csharp_namespace %q, want %q", f.Path(), options.GetCsharpNamespace(), want)
		}
		once(csharp, strings.ToLower(options.GetCsharpNamespace()+"."+strings.ReplaceAll(path.Base(f.Path()), "_", "")), f.Path())
		for i := range f.Messages().Len() {
			once(java, options.GetJavaPackage()+"."+string(f.Messages().Get(i).Name()), f.Path())
		}
		for i := range f.Enums().Len() {
			once(java, options.GetJavaPackage()+"."+string(f.Enums().Get(i).Name()), f.Path())
		}
	}
}
