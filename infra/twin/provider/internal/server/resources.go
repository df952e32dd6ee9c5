// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// ValidateResourceTypeConfig applies what the schema alone does not say.
func (s *Server) ValidateResourceTypeConfig(_ context.Context, r *tfprotov5.ValidateResourceTypeConfigRequest) (
	response *tfprotov5.ValidateResourceTypeConfigResponse, err error) {
	response = &tfprotov5.ValidateResourceTypeConfigResponse{}
	defer guard(&response.Diagnostics)
	response.Diagnostics = s.validate(r.TypeName, r.Config)
	return response, nil
}

func (s *Server) validate(name string, config *tfprotov5.DynamicValue) []*tfprotov5.Diagnostic {
	t, err := s.typeOf(name)
	if err != nil {
		return problem(name, err)
	}
	m, err := decode(config, t.Wire)
	if err != nil {
		return problem(name, err)
	}
	found := append(t.Validate(m), computedOnly("", t.Schema.Block, m)...)
	if check := aws.KindOf(name).Validate; check != nil {
		found = append(found, check(m)...)
	}
	return problems(found)
}

// computedOnly: what the service alone decides cannot be configured.
func computedOnly(path string, block *tfprotov5.SchemaBlock, m value.Attrs) []catalog.Problem {
	var found []catalog.Problem
	for _, a := range block.Attributes {
		if m[a.Name] != nil && !a.Optional && !a.Required {
			found = append(found, catalog.Problem{Attribute: firstStep(path + a.Name),
				Message: fmt.Sprintf("%s%s is decided by the service and cannot be configured", path, a.Name)})
		}
	}
	for _, n := range block.BlockTypes {
		for _, b := range value.Blocks(m, n.TypeName) {
			found = append(found, computedOnly(path+n.TypeName+".", n.Block, b)...)
		}
	}
	return found
}

// ApplyResourceChange creates, updates or deletes.
func (s *Server) ApplyResourceChange(_ context.Context, r *tfprotov5.ApplyResourceChangeRequest) (
	response *tfprotov5.ApplyResourceChangeResponse, err error) {
	// Where the change fails nothing has changed: the state stays as it was.
	response = &tfprotov5.ApplyResourceChangeResponse{NewState: r.PriorState, Private: r.PlannedPrivate,
		UnsafeToUseLegacyTypeSystem: true}
	defer guard(&response.Diagnostics)
	t, err := s.typeOf(r.TypeName)
	if err == nil {
		err = s.configured()
	}
	if err == nil {
		err = s.apply(t, r, response)
	}
	response.Diagnostics = append(response.Diagnostics, problem(verb(r)+" "+r.TypeName, err)...)
	return response, nil
}

func verb(r *tfprotov5.ApplyResourceChangeRequest) string {
	if isNull(r.PriorState) {
		return "creating"
	}
	if isNull(r.PlannedState) {
		return "deleting"
	}
	return "updating"
}

func isNull(d *tfprotov5.DynamicValue) bool {
	null, err := d.IsNull()
	return err == nil && null
}

func (s *Server) apply(t *catalog.Type, r *tfprotov5.ApplyResourceChangeRequest,
	response *tfprotov5.ApplyResourceChangeResponse) error {
	prior, err := decode(r.PriorState, t.Wire)
	if err != nil {
		return err
	}
	planned, err := decode(r.PlannedState, t.Wire)
	if err != nil {
		return err
	}
	config, err := decode(r.Config, t.Wire)
	if err != nil {
		return err
	}
	return s.store.Update(func(w *cloud.World) error {
		o, err := s.operation(w, t)
		if err != nil {
			return err
		}
		o.Prior, o.Config, o.Attrs = prior, config, planned
		switch {
		case planned == nil:
			err = o.Delete()
			o.Attrs = nil
		case prior == nil:
			err = o.Create()
		default:
			err = o.Update()
		}
		if err != nil {
			return err
		}
		state, err := encode(copyOf(o.Attrs), t)
		if err == nil {
			response.NewState = state
		}
		return err
	})
}

// copyOf: encoding adds empty blocks, which the cloud's own copy has no use for.
func copyOf(m value.Attrs) value.Attrs {
	if m == nil {
		return nil
	}
	return value.Clone(m).(value.Attrs)
}

// ReadResource brings the state up to what the cloud says: changed by hand, or gone.
func (s *Server) ReadResource(_ context.Context, r *tfprotov5.ReadResourceRequest) (
	response *tfprotov5.ReadResourceResponse, err error) {
	response = &tfprotov5.ReadResourceResponse{NewState: r.CurrentState, Private: r.Private}
	defer guard(&response.Diagnostics)
	t, err := s.typeOf(r.TypeName)
	if err == nil {
		err = s.configured()
	}
	if err == nil {
		response.NewState, err = s.read(t, r.CurrentState)
	}
	response.Diagnostics = append(response.Diagnostics, problem("reading "+r.TypeName, err)...)
	return response, nil
}

func (s *Server) read(t *catalog.Type, current *tfprotov5.DynamicValue) (state *tfprotov5.DynamicValue, err error) {
	prior, err := decode(current, t.Wire)
	if err != nil {
		return current, err
	}
	state = current
	err = s.store.View(func(w *cloud.World) error {
		o, err := s.operation(w, t)
		if err != nil {
			return err
		}
		o.Prior = prior
		if err := o.Read(); err != nil {
			return err
		}
		state, err = encode(o.Attrs, t)
		return err
	})
	return state, err
}

// ImportResourceState takes a thing of the cloud into the state, by its id.
func (s *Server) ImportResourceState(_ context.Context, r *tfprotov5.ImportResourceStateRequest) (
	response *tfprotov5.ImportResourceStateResponse, err error) {
	response = &tfprotov5.ImportResourceStateResponse{}
	defer guard(&response.Diagnostics)
	t, err := s.typeOf(r.TypeName)
	if err == nil {
		err = s.configured()
	}
	if err == nil {
		var start, state *tfprotov5.DynamicValue
		if start, err = encode(value.Attrs{"id": r.ID}, t); err == nil {
			state, err = s.read(t, start)
		}
		if err == nil && isNull(state) {
			err = fmt.Errorf("account %s has no %s %s", s.who.Account, r.TypeName, r.ID)
		}
		response.ImportedResources = []*tfprotov5.ImportedResource{{TypeName: r.TypeName, State: state}}
	}
	response.Diagnostics = append(response.Diagnostics, problem("importing "+r.TypeName, err)...)
	return response, nil
}

// UpgradeResourceState reads a state of whatever form as one of the present schema.
func (s *Server) UpgradeResourceState(_ context.Context, r *tfprotov5.UpgradeResourceStateRequest) (
	response *tfprotov5.UpgradeResourceStateResponse, err error) {
	response = &tfprotov5.UpgradeResourceStateResponse{}
	defer guard(&response.Diagnostics)
	t, err := s.typeOf(r.TypeName)
	if err == nil {
		var wire tftypes.Value
		wire, err = r.RawState.UnmarshalWithOpts(t.Wire, tfprotov5.UnmarshalOpts{
			ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}})
		if err == nil {
			var d tfprotov5.DynamicValue
			d, err = tfprotov5.NewDynamicValue(t.Wire, wire)
			response.UpgradedState = &d
		}
	}
	response.Diagnostics = append(response.Diagnostics, problem("state of "+r.TypeName, err)...)
	return response, nil
}
