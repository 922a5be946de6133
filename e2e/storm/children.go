package storm

import (
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/idcode"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
)

// children registers and looks for the same few children from several places at once, for the checker of their history. The pool moves
// on, so that there is always a first registration to race for. Their numbers are of another county than those of the matters, which also
// make records of children.
func children(s *Storm, a *actor) {
	for !a.over() {
		now, err := s.world.now(a.ctx)
		if err != nil {
			continue
		}
		generation := int(s.history.now() / (5 * time.Second))
		p := s.world.places[a.n(len(s.world.places))]
		born := calendar.Date{Year: now.In(calendar.Zone()).Year() - 9, Month: time.March, Day: 1 + generation%28}
		number := idcode.MakeIDNumber("320481", born, (generation/28%100)*10+a.n(5)*2)
		village := who{p.hamlet, p.director, "LEDGER_KEEPING"}
		if a.n(2) == 0 {
			mutate(a, village, registryv1.RegistryService_RegisterChild_FullMethodName, &registryv1.RegisterChildRequest{Child: &registryv1.Child{
				Division: p.village, Person: &personv1.Person{Name: "测试儿童", IdNumber: number}, Registration: registryv1.Registration_REGISTRATION_RURAL,
			}}, &registryv1.RegisterChildResponse{})
		} else {
			// Civil affairs finds every child; a village those of its own division alone.
			read(a, who{unit: "civil_affairs", purpose: "LEDGER_KEEPING"}, registryv1.RegistryReadService_FindChild_FullMethodName, &registryv1.FindChildRequest{IdNumber: number}, &registryv1.FindChildResponse{})
		}
		a.rest(20 * time.Millisecond)
	}
}
