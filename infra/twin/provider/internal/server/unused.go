// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
)

// Parts of the protocol that hashicorp/aws has and culvert's modules do not use: they answer, with an error where an
// answer would be a guess.

var errNotHere = errors.New("the provider for tests does not do this")

// PrepareProviderConfig takes the configuration as it is.
func (s *Server) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (
	*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// StopProvider has nothing under way that could be stopped.
func (s *Server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse,
	error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

// GetResourceIdentitySchemas: no identities are offered.
func (s *Server) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (
	*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

// UpgradeResourceIdentity cannot be asked for, since no identities are offered.
func (s *Server) UpgradeResourceIdentity(context.Context, *tfprotov5.UpgradeResourceIdentityRequest) (
	*tfprotov5.UpgradeResourceIdentityResponse, error) {
	return &tfprotov5.UpgradeResourceIdentityResponse{Diagnostics: problem("identity", errNotHere)}, nil
}

// MoveResourceState between types is refused.
func (s *Server) MoveResourceState(context.Context, *tfprotov5.MoveResourceStateRequest) (
	*tfprotov5.MoveResourceStateResponse, error) {
	return &tfprotov5.MoveResourceStateResponse{Diagnostics: problem("move between types", errNotHere)}, nil
}

// GenerateResourceConfig is refused.
func (s *Server) GenerateResourceConfig(context.Context, *tfprotov5.GenerateResourceConfigRequest) (
	*tfprotov5.GenerateResourceConfigResponse, error) {
	return &tfprotov5.GenerateResourceConfigResponse{Diagnostics: problem("generated configuration", errNotHere)}, nil
}

// GetFunctions: none are offered.
func (s *Server) GetFunctions(context.Context, *tfprotov5.GetFunctionsRequest) (*tfprotov5.GetFunctionsResponse,
	error) {
	return &tfprotov5.GetFunctionsResponse{}, nil
}

// CallFunction cannot be asked for, since no functions are offered.
func (s *Server) CallFunction(context.Context, *tfprotov5.CallFunctionRequest) (*tfprotov5.CallFunctionResponse,
	error) {
	return &tfprotov5.CallFunctionResponse{Error: &tfprotov5.FunctionError{Text: errNotHere.Error()}}, nil
}
