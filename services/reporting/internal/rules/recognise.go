package rules

import (
	"slices"

	"github.com/lianhu/lianhu/pkg/district"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Recognise reads the codes of an incident by the district's table of its source. It is done when an incident is shown and never
// stored, so that a table loaded later counts at once.
func Recognise(d *district.District, i *reportingv1.Incident) {
	i.RecognisedSituations, i.RecognisedMeasures, i.UnknownCodes = nil, nil, nil
	addTo := func(list *[]string, codes ...string) {
		for _, code := range codes {
			if !slices.Contains(*list, code) {
				*list = append(*list, code)
			}
		}
	}
	addTo(&i.RecognisedSituations, i.GetContent().GetSituations()...)
	for _, code := range i.GetContent().GetCodes() {
		c, known := d.SourceCode(i.GetSource(), code)
		if !known {
			addTo(&i.UnknownCodes, code)
		}
		addTo(&i.RecognisedSituations, c.Situations...)
		addTo(&i.RecognisedMeasures, c.Measures...)
	}
}

// UnknownCodes counts the codes of a content that the district's table of the source does not have.
func UnknownCodes(d *district.District, source string, content *reportingv1.IncidentContent) int64 {
	n := int64(0)
	for _, code := range content.GetCodes() {
		if _, known := d.SourceCode(source, code); !known {
			n++
		}
	}
	return n
}
