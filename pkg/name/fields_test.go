package name_test

import (
	"testing"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/name"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
)

func TestTheContractSaysWhichFieldsAreNames(t *testing.T) {
	t.Parallel()
	p := &personv1.Person{Name: "阿依古丽•买买提", Address: "a\u200bb"}
	if err := name.Apply(p); err != nil || p.GetName() != "阿依古丽·买买提" || p.GetAddress() != "a\u200bb" {
		t.Errorf("%v, %v", p, err)
	}
	if err := name.Apply(&personv1.Person{Name: "吴\u200b小满"}); !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) {
		t.Errorf("got %v", err)
	}
	if err := name.Apply(&accessv1.Principal{Officer: " x"}); err != nil {
		t.Errorf("an id is taken for a name: %v", err)
	}
}
