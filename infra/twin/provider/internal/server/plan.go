// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/value"
)

// PlanResourceChange says what will be: defaults filled in, what only the service knows left unknown, and whether the
// change needs a new thing.
func (s *Server) PlanResourceChange(_ context.Context, r *tfprotov5.PlanResourceChangeRequest) (
	response *tfprotov5.PlanResourceChangeResponse, err error) {
	response = &tfprotov5.PlanResourceChangeResponse{PlannedState: r.ProposedNewState, PlannedPrivate: r.PriorPrivate,
		UnsafeToUseLegacyTypeSystem: true}
	defer guard(&response.Diagnostics)
	t, err := s.typeOf(r.TypeName)
	if err == nil {
		err = s.plan(t, r, response)
	}
	response.Diagnostics = append(response.Diagnostics, problem("planning "+r.TypeName, err)...)
	return response, nil
}

func (s *Server) plan(t *catalog.Type, r *tfprotov5.PlanResourceChangeRequest,
	response *tfprotov5.PlanResourceChangeResponse) error {
	config, err := decode(r.Config, t.Wire)
	if err != nil {
		return err
	}
	prior, err := decode(r.PriorState, t.Wire)
	if err != nil {
		return err
	}
	planned, err := decode(r.ProposedNewState, t.Wire)
	if err != nil || planned == nil {
		return err // nil: a deletion, planned as proposed
	}
	f := filler{rule: t.Rule, create: prior == nil}
	f.fill("", t.Schema.Block, config, planned, prior)
	s.planTags(t, planned)
	if value.IsUnknown(planned["region"]) {
		planned["region"] = s.who.Region
	}
	if prior != nil {
		planUpdate(t, prior, planned, response)
	}
	response.PlannedState, err = encode(planned, t)
	return err
}

func planUpdate(t *catalog.Type, prior, planned value.Attrs, response *tfprotov5.PlanResourceChangeResponse) {
	paths := t.Rule.ForceNew
	if more := aws.KindOf(t.Name).Replace; more != nil {
		paths = append(append([]string{}, paths...), more(prior, planned)...)
	}
	for _, p := range paths {
		if changed(prior, planned, p) {
			response.RequiresReplace = append(response.RequiresReplace, attributePath(p))
		}
	}
	// Ids and names that the service makes come anew with a new thing; the core asks again for that, without a prior.
	if !sameState(t.Schema.Block, prior, planned) {
		for _, name := range t.Rule.Recomputed {
			planned[name] = value.Unknown
		}
	}
}

func changed(prior, planned value.Attrs, path string) bool {
	head, rest, nested := strings.Cut(path, ".")
	if !nested {
		return !same(prior[head], planned[head])
	}
	a, b := value.Block(prior, head), value.Block(planned, head)
	if a == nil || b == nil {
		return (a == nil) != (b == nil)
	}
	return changed(a, b, rest)
}

// same compares as the core does: absent, empty text and empty list are one; the order of a set's elements is its own.
func same(a, b any) bool {
	if empty(a) && empty(b) {
		return true
	}
	x, aIsList := a.([]any)
	y, bIsList := b.([]any)
	if !aIsList || !bIsList {
		return value.Equal(a, b)
	}
	if len(x) != len(y) {
		return false
	}
	for _, e := range x {
		found := false
		for _, g := range y {
			found = found || value.Equal(e, g)
		}
		if !found {
			return false
		}
	}
	return true
}

func empty(x any) bool {
	switch v := x.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case value.Attrs:
		return len(v) == 0
	}
	return false
}

func sameState(block *tfprotov5.SchemaBlock, prior, planned value.Attrs) bool {
	for _, a := range block.Attributes {
		if !same(prior[a.Name], planned[a.Name]) {
			return false
		}
	}
	for _, n := range block.BlockTypes {
		if n.TypeName != "timeouts" && !same(prior[n.TypeName], planned[n.TypeName]) {
			return false
		}
	}
	return true
}

func attributePath(path string) *tftypes.AttributePath {
	steps := strings.Split(path, ".")
	result := tftypes.NewAttributePath()
	for i, step := range steps {
		result = result.WithAttributeName(step)
		if i < len(steps)-1 {
			result = result.WithElementKeyInt(0)
		}
	}
	return result
}

func firstStep(path string) string {
	head, _, _ := strings.Cut(path, ".")
	return head
}

// filler completes a proposed state.
type filler struct {
	rule   catalog.Rule
	create bool
}

func (f filler) fill(path string, block *tfprotov5.SchemaBlock, config, planned, prior value.Attrs) {
	for _, a := range block.Attributes {
		_, modelled := f.rule.Identity[path+a.Name]
		standard, hasDefault := f.rule.Defaults[path+a.Name]
		switch {
		case a.WriteOnly:
			planned[a.Name] = nil
		case config[a.Name] != nil:
		case hasDefault && (!a.Computed || planned[a.Name] == nil):
			planned[a.Name] = standard
		case a.Computed && planned[a.Name] == nil && (f.create || modelled):
			planned[a.Name] = value.Unknown
		}
	}
	for _, n := range block.BlockTypes {
		configured, proposed, before := value.Blocks(config, n.TypeName), value.Blocks(planned, n.TypeName),
			value.Blocks(prior, n.TypeName)
		if len(configured) != len(proposed) {
			continue // a set's unknown elements may have been merged
		}
		for i := range configured {
			var old value.Attrs
			if i < len(before) {
				old = before[i]
			}
			f.fill(path+n.TypeName+".", n.Block, configured[i], proposed[i], old)
		}
	}
}

func (s *Server) planTags(t *catalog.Type, planned value.Attrs) {
	if _, has := t.Wire.AttributeTypes["tags_all"]; !has {
		return
	}
	if !value.WhollyKnown(planned["tags"]) || !value.WhollyKnown(s.who.DefaultTags) {
		planned["tags_all"] = value.Unknown
		return
	}
	all := value.Attrs{}
	own, _ := planned["tags"].(value.Attrs)
	for _, tags := range []value.Attrs{s.who.DefaultTags, own} {
		for k, v := range tags {
			all[k] = v
		}
	}
	planned["tags_all"] = all
}
