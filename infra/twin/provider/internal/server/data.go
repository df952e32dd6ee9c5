// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// ValidateDataSourceConfig applies what the schema alone does not say.
func (s *Server) ValidateDataSourceConfig(_ context.Context, r *tfprotov5.ValidateDataSourceConfigRequest) (
	response *tfprotov5.ValidateDataSourceConfigResponse, err error) {
	response = &tfprotov5.ValidateDataSourceConfigResponse{}
	defer guard(&response.Diagnostics)
	response.Diagnostics = s.validate("data."+r.TypeName, r.Config)
	return response, nil
}

// ReadDataSource answers from what has been applied.
func (s *Server) ReadDataSource(_ context.Context, r *tfprotov5.ReadDataSourceRequest) (
	response *tfprotov5.ReadDataSourceResponse, err error) {
	response = &tfprotov5.ReadDataSourceResponse{}
	defer guard(&response.Diagnostics)
	response.State, err = s.answer("data."+r.TypeName, r.Config)
	response.Diagnostics = problem("reading "+r.TypeName, err)
	return response, nil
}

func (s *Server) answer(name string, given *tfprotov5.DynamicValue) (*tfprotov5.DynamicValue, error) {
	t, err := s.typeOf(name)
	if err == nil {
		err = s.configured()
	}
	if err != nil {
		return nil, err
	}
	config, err := decode(given, t.Wire)
	if err != nil {
		return nil, err
	}
	var answer *tfprotov5.DynamicValue
	err = s.store.View(func(w *cloud.World) error {
		o, err := s.operation(w, t)
		if err != nil {
			return err
		}
		o.Config = config
		if err := ask(o, t); err != nil {
			return err
		}
		answer, err = encode(o.Attrs, t)
		return err
	})
	return answer, err
}

func ask(o *aws.Operation, t *catalog.Type) error {
	o.Attrs = value.Clone(o.Config).(value.Attrs)
	filler{rule: t.Rule, create: true}.fill("", t.Schema.Block, o.Config, o.Attrs, nil)
	o.FillAnswer()
	if data := aws.KindOf(t.Name).Data; data != nil {
		return data(o)
	}
	return nil
}

// ValidateEphemeralResourceConfig applies what the schema alone does not say.
func (s *Server) ValidateEphemeralResourceConfig(_ context.Context,
	r *tfprotov5.ValidateEphemeralResourceConfigRequest) (
	response *tfprotov5.ValidateEphemeralResourceConfigResponse, err error) {
	response = &tfprotov5.ValidateEphemeralResourceConfigResponse{}
	defer guard(&response.Diagnostics)
	response.Diagnostics = s.validate("ephemeral."+r.TypeName, r.Config)
	return response, nil
}

// OpenEphemeralResource answers like a data source; the core keeps the answer out of every state and plan.
func (s *Server) OpenEphemeralResource(_ context.Context, r *tfprotov5.OpenEphemeralResourceRequest) (
	response *tfprotov5.OpenEphemeralResourceResponse, err error) {
	response = &tfprotov5.OpenEphemeralResourceResponse{}
	defer guard(&response.Diagnostics)
	response.Result, err = s.answer("ephemeral."+r.TypeName, r.Config)
	response.Diagnostics = problem("opening ephemeral "+r.TypeName, err)
	return response, nil
}

// RenewEphemeralResource: nothing here expires.
func (s *Server) RenewEphemeralResource(context.Context, *tfprotov5.RenewEphemeralResourceRequest) (
	*tfprotov5.RenewEphemeralResourceResponse, error) {
	return &tfprotov5.RenewEphemeralResourceResponse{}, nil
}

// CloseEphemeralResource: nothing to give back.
func (s *Server) CloseEphemeralResource(context.Context, *tfprotov5.CloseEphemeralResourceRequest) (
	*tfprotov5.CloseEphemeralResourceResponse, error) {
	return &tfprotov5.CloseEphemeralResourceResponse{}, nil
}
