package rpc

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/row"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1" // its reasons are reference data
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"    // its reasons are reference data
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1" // its reasons are reference data
)

// reference gives a page of reference data in the contract's form. It changes with the district package only, so the token is
// a position.
func reference[T, M any](ctx context.Context, s *Service, all []T, q pagetoken.Request, to func(T) M) (shown []M, token string, err error) {
	page, err := pagetoken.Open(ctx, s.Engine.Keys, q, 1)
	if err != nil {
		return nil, "", err
	}
	from := 0
	if page.Key != nil {
		if from, err = strconv.Atoi(page.Key[0]); err != nil {
			return nil, "", err
		}
	}
	from = min(from, len(all))
	rest := all[from:min(from+page.Size+1, len(all))]
	rest, token = pagetoken.Show(page, rest, func(T) []string { return []string{strconv.Itoa(from + page.Size)} })
	for _, entry := range rest {
		shown = append(shown, to(entry))
	}
	return shown, token, nil
}

func day(d calendar.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

// ListDivisions implements the contract.
func (s *Service) ListDivisions(ctx context.Context, q *registryv1.ListDivisionsRequest) (*registryv1.ListDivisionsResponse, error) {
	all := slices.DeleteFunc(slices.Clone(s.District.Divisions()), func(d district.Division) bool {
		return q.GetParent() != "" && d.Parent != q.GetParent()
	})
	page, token, err := reference(ctx, s, all, q, func(d district.Division) *registryv1.Division {
		level := registryv1.Division_LEVEL_DISTRICT
		switch {
		case d.Township():
			level = registryv1.Division_LEVEL_TOWNSHIP
		case d.Committee():
			level = registryv1.Division_LEVEL_VILLAGE
		}
		return &registryv1.Division{
			Code: d.Code, Title: d.Name, Level: level, Parent: d.Parent, ValidFrom: day(d.ValidFrom), ValidTo: day(d.ValidTo), Successor: d.Successor,
		}
	})
	return &registryv1.ListDivisionsResponse{Divisions: page, NextPageToken: token}, err
}

// ListUnits implements the contract.
func (s *Service) ListUnits(ctx context.Context, q *registryv1.ListUnitsRequest) (*registryv1.ListUnitsResponse, error) {
	all := slices.DeleteFunc(slices.Clone(s.District.Units()), func(u district.Unit) bool {
		return q.GetKind() != "" && string(u.Kind) != q.GetKind()
	})
	page, token, err := reference(ctx, s, all, q, func(u district.Unit) *registryv1.Unit {
		return &registryv1.Unit{Id: u.ID, Title: u.ZH, Kind: string(u.Kind), Division: u.Division}
	})
	return &registryv1.ListUnitsResponse{Units: page, NextPageToken: token}, err
}

// ListSituations implements the contract.
func (s *Service) ListSituations(ctx context.Context, q *registryv1.ListSituationsRequest) (*registryv1.ListSituationsResponse, error) {
	page, token, err := reference(ctx, s, s.District.Situations(), q, func(v district.Situation) *registryv1.Situation {
		return &registryv1.Situation{Code: v.Code, Zh: v.ZH, Reportable: v.Reportable, Source: v.Source, Responses: v.Response}
	})
	return &registryv1.ListSituationsResponse{Situations: page, NextPageToken: token}, err
}

// ListMeasures implements the contract.
func (s *Service) ListMeasures(ctx context.Context, q *registryv1.ListMeasuresRequest) (*registryv1.ListMeasuresResponse, error) {
	page, token, err := reference(ctx, s, s.District.MeasureCatalogue(), q, func(v district.Measure) *registryv1.Measure {
		return &registryv1.Measure{Code: v.Code, Zh: v.ZH, Per: v.Per}
	})
	return &registryv1.ListMeasuresResponse{Measures: page, NextPageToken: token}, err
}

// ListDispatchCodes implements the contract.
func (s *Service) ListDispatchCodes(ctx context.Context, q *registryv1.ListDispatchCodesRequest) (*registryv1.ListDispatchCodesResponse, error) {
	var all []*registryv1.DispatchCode
	for _, t := range s.District.CodeTables() {
		for _, c := range t.Codes {
			if q.GetSource() == "" || q.GetSource() == t.Source {
				all = append(all, &registryv1.DispatchCode{Source: t.Source, Code: c.Code, Zh: c.ZH, Situations: c.Situations, Measures: c.Measures})
			}
		}
	}
	page, token, err := reference(ctx, s, all, q, func(c *registryv1.DispatchCode) *registryv1.DispatchCode { return c })
	return &registryv1.ListDispatchCodesResponse{Codes: page, NextPageToken: token}, err
}

// ListResponses implements the contract.
func (s *Service) ListResponses(ctx context.Context, q *registryv1.ListResponsesRequest) (*registryv1.ListResponsesResponse, error) {
	page, token, err := reference(ctx, s, s.District.Responses(), q, func(v district.Response) *registryv1.Response {
		out := &registryv1.Response{Code: v.Code, Source: v.Source, Status: string(v.Status)}
		for _, g := range v.Groups {
			group := &registryv1.Response_Group{AllOf: g.Measures}
			if g.Choice {
				group = &registryv1.Response_Group{ExactlyOneOf: g.Measures}
			}
			out.Groups = append(out.Groups, group)
		}
		return out
	})
	return &registryv1.ListResponsesResponse{Responses: page, NextPageToken: token}, err
}

// ListNeeds implements the contract.
func (s *Service) ListNeeds(ctx context.Context, q *registryv1.ListNeedsRequest) (*registryv1.ListNeedsResponse, error) {
	page, token, err := reference(ctx, s, s.District.Needs(), q, func(v district.Need) *registryv1.Need {
		return &registryv1.Need{
			Code: v.Code, Zh: v.ZH, En: v.EN, Unit: v.Unit, Fallback: v.Fallback, Duty: v.Duty, Basis: v.Basis,
			AcceptLength: v.Accept.Length.String(), DeliverLength: v.Deliver.Length.String(), Place: string(v.Place),
		}
	})
	return &registryv1.ListNeedsResponse{Needs: page, NextPageToken: token}, err
}

// ListClocks implements the contract.
func (s *Service) ListClocks(ctx context.Context, q *registryv1.ListClocksRequest) (*registryv1.ListClocksResponse, error) {
	page, token, err := reference(ctx, s, s.District.Clocks(), q, func(v district.Clock) *registryv1.Clock {
		out := &registryv1.Clock{
			Id: v.ID, Zh: v.ZH, Start: v.Start, Bound: string(v.Bound), Owner: v.Owner, Source: v.Source, Status: string(v.Status),
		}
		if v.Bound == "" {
			out.Length = v.Length.String()
		}
		return out
	})
	return &registryv1.ListClocksResponse{Clocks: page, NextPageToken: token}, err
}

// ListDuties implements the contract.
func (s *Service) ListDuties(ctx context.Context, q *registryv1.ListDutiesRequest) (*registryv1.ListDutiesResponse, error) {
	all := slices.DeleteFunc(slices.Clone(s.District.Duties()), func(v district.Duty) bool {
		return q.GetUnit() != "" && v.Unit != q.GetUnit()
	})
	page, token, err := reference(ctx, s, all, q, func(v district.Duty) *registryv1.Duty {
		return &registryv1.Duty{Id: v.ID, Unit: v.Unit, Zh: v.ZH, En: v.EN, Level: v.Level, Refs: v.Refs}
	})
	return &registryv1.ListDutiesResponse{Duties: page, NextPageToken: token}, err
}

// ListErrorReasons implements the contract: the reasons of all areas, as their enums in the contract have them.
func (s *Service) ListErrorReasons(ctx context.Context, q *registryv1.ListErrorReasonsRequest) (*registryv1.ListErrorReasonsResponse, error) {
	page, token, err := reference(ctx, s, reasons(), q, func(r *registryv1.ErrorReason) *registryv1.ErrorReason { return r })
	return &registryv1.ListErrorReasonsResponse{ErrorReasons: page, NextPageToken: token}, err
}

func reasons() []*registryv1.ErrorReason {
	var out []*registryv1.ErrorReason
	for _, area := range []string{"fault", "registry", "reporting", "referral", "relief"} {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("lianhu." + area + ".v1.Reason"))
		if err != nil {
			continue // not linked in, which no build of this package can be: see the imports
		}
		values := found.(protoreflect.EnumDescriptor).Values()
		for i := 1; i < values.Len(); i++ {
			info, _ := proto.GetExtension(values.Get(i).Options(), faultv1.E_Info).(*faultv1.ReasonInfo)
			out = append(out, &registryv1.ErrorReason{
				Area: area, Code: row.ShortName(values.Get(i)), Kind: strings.TrimPrefix(info.GetKind().String(), "KIND_"), Zh: info.GetZh(),
			})
		}
	}
	return out
}
