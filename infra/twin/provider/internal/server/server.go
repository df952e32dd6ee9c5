// SPDX-License-Identifier: Apache-2.0

// Package server speaks the provider protocol: schema, validate, plan, apply, read.
package server

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// Environment that the provider reads: it has no arguments of its own, since its schema is that of hashicorp/aws.
const (
	EnvCloud   = "CULVERT_TWIN_CLOUD"   // folder of the cloud
	EnvAccount = "CULVERT_TWIN_ACCOUNT" // account where the provider block names none
)

const (
	defaultAccount = "111111111111"
	defaultRole    = "deploy" // whoever applies the roots
)

// Server is one configured provider.
type Server struct {
	catalog *catalog.Catalog
	env     func(string) string
	store   *cloud.Store
	who     aws.Who
}

// New makes a provider that is not configured yet.
func New(c *catalog.Catalog, env func(string) string) *Server { return &Server{catalog: c, env: env} }

var _ tfprotov5.ProviderServer = (*Server)(nil)

// GetMetadata names all types.
func (s *Server) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	response := &tfprotov5.GetMetadataResponse{}
	for name := range s.catalog.Types {
		if data, ok := strings.CutPrefix(name, "data."); ok {
			response.DataSources = append(response.DataSources, tfprotov5.DataSourceMetadata{TypeName: data})
		} else if ephemeral, ok := strings.CutPrefix(name, "ephemeral."); ok {
			response.EphemeralResources = append(response.EphemeralResources,
				tfprotov5.EphemeralResourceMetadata{TypeName: ephemeral})
		} else {
			response.Resources = append(response.Resources, tfprotov5.ResourceMetadata{TypeName: name})
		}
	}
	return response, nil
}

// GetProviderSchema hands the catalog's schemas over.
func (s *Server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (
	*tfprotov5.GetProviderSchemaResponse, error) {
	response := &tfprotov5.GetProviderSchemaResponse{Provider: s.catalog.Provider,
		ResourceSchemas: map[string]*tfprotov5.Schema{}, DataSourceSchemas: map[string]*tfprotov5.Schema{},
		EphemeralResourceSchemas: map[string]*tfprotov5.Schema{}}
	for name, t := range s.catalog.Types {
		if data, ok := strings.CutPrefix(name, "data."); ok {
			response.DataSourceSchemas[data] = t.Schema
		} else if ephemeral, ok := strings.CutPrefix(name, "ephemeral."); ok {
			response.EphemeralResourceSchemas[ephemeral] = t.Schema
		} else {
			response.ResourceSchemas[name] = t.Schema
		}
	}
	return response, nil
}

var accountForm = regexp.MustCompile(`^\d{12}$`)
var roleForm = regexp.MustCompile(`^arn:aws:iam::(\d{12}):role/(?:.*/)?([^/]+)$`)

// ConfigureProvider learns who asks: the account of allowed_account_ids, else of assume_role.role_arn, else of the
// environment; the role of assume_role, else "deploy".
func (s *Server) ConfigureProvider(_ context.Context, r *tfprotov5.ConfigureProviderRequest) (
	response *tfprotov5.ConfigureProviderResponse, err error) {
	response = &tfprotov5.ConfigureProviderResponse{}
	defer guard(&response.Diagnostics)
	config, err := decode(r.Config, s.catalog.Provider.ValueType())
	if err == nil {
		err = s.configure(config)
	}
	response.Diagnostics = problem("provider configuration", err)
	return response, nil
}

func (s *Server) configure(config value.Attrs) error {
	dir := s.env(EnvCloud)
	if dir == "" {
		return fmt.Errorf("this is the provider for tests: it keeps what is applied in a folder, and the environment " +
			"variable " + EnvCloud + " does not name one (infra/tests/run.py sets it)")
	}
	store, err := cloud.Open(dir)
	if err != nil {
		return err
	}
	s.store = store
	s.who = aws.Who{Account: s.env(EnvAccount), Region: value.Text(config, "region"), Role: defaultRole,
		DefaultTags: value.Attrs{}}
	if s.who.Account == "" {
		s.who.Account = defaultAccount
	}
	if s.who.Region == "" {
		return errors.New("invalid AWS Region: region is not set")
	}
	for _, tags := range value.Blocks(config, "default_tags") {
		if t, ok := tags["tags"].(value.Attrs); ok {
			s.who.DefaultTags = t
		}
	}
	if err := s.chooseAccount(config); err != nil {
		return err
	}
	if !accountForm.MatchString(s.who.Account) {
		return fmt.Errorf("account %q is not twelve digits", s.who.Account)
	}
	return nil
}

func (s *Server) chooseAccount(config value.Attrs) error {
	assumed := false
	for _, role := range value.Blocks(config, "assume_role") {
		if arn := value.Text(role, "role_arn"); arn != "" {
			m := roleForm.FindStringSubmatch(arn)
			if m == nil {
				return fmt.Errorf("assume_role.role_arn %q is not the ARN of a role", arn)
			}
			s.who.Account, s.who.Role, assumed = m[1], m[2], true
		}
	}
	allowed := value.Texts(config, "allowed_account_ids")
	if len(allowed) == 0 {
		return nil
	}
	if !assumed && s.env(EnvAccount) == "" {
		s.who.Account = allowed[0]
	}
	for _, a := range allowed {
		if a == s.who.Account {
			return nil
		}
	}
	return fmt.Errorf("AWS account ID not allowed: %s (allowed_account_ids: %s)", s.who.Account, strings.Join(allowed,
		", "))
}

// guard turns a bug of this provider into a diagnostic: the operation fails, the process goes on.
func guard(diagnostics *[]*tfprotov5.Diagnostic) {
	if cause := recover(); cause != nil {
		*diagnostics = append(*diagnostics, &tfprotov5.Diagnostic{Severity: tfprotov5.DiagnosticSeverityError,
			Summary: fmt.Sprintf("bug in the provider for tests: %v", cause), Detail: string(debug.Stack())})
	}
}

// problem is an error as diagnostics; none for nil.
func problem(where string, err error) []*tfprotov5.Diagnostic {
	if err == nil {
		return nil
	}
	return []*tfprotov5.Diagnostic{{Severity: tfprotov5.DiagnosticSeverityError, Summary: where, Detail: err.Error()}}
}

func problems(list []catalog.Problem) []*tfprotov5.Diagnostic {
	var result []*tfprotov5.Diagnostic
	for _, p := range list {
		result = append(result, &tfprotov5.Diagnostic{Severity: tfprotov5.DiagnosticSeverityError, Summary: p.Message,
			Attribute: tftypes.NewAttributePath().WithAttributeName(p.Attribute)})
	}
	return result
}

func (s *Server) typeOf(name string) (*catalog.Type, error) {
	t := s.catalog.Types[name]
	if t == nil {
		return nil, fmt.Errorf("%s is not among the types of this provider (schema/types.txt)", name)
	}
	return t, nil
}

func decode(d *tfprotov5.DynamicValue, t tftypes.Type) (value.Attrs, error) {
	if d == nil {
		return nil, nil
	}
	wire, err := d.Unmarshal(t)
	if err != nil {
		return nil, err
	}
	x, err := value.FromWire(wire)
	if err != nil || x == nil {
		return nil, err
	}
	m, ok := x.(value.Attrs)
	if !ok {
		return nil, fmt.Errorf("an object was expected")
	}
	return m, nil
}

func encode(m value.Attrs, t *catalog.Type) (*tfprotov5.DynamicValue, error) {
	var x any
	if m != nil {
		x = withBlocks(t.Schema.Block, m)
	}
	wire, err := value.ToWire(x, t.Wire)
	if err != nil {
		return nil, err
	}
	d, err := tfprotov5.NewDynamicValue(t.Wire, wire)
	return &d, err
}

// withBlocks: a repeated block that is not there is an empty list, never null.
func withBlocks(block *tfprotov5.SchemaBlock, m value.Attrs) value.Attrs {
	for _, n := range block.BlockTypes {
		if n.Nesting == tfprotov5.SchemaNestedBlockNestingModeSingle {
			continue
		}
		if m[n.TypeName] == nil {
			m[n.TypeName] = []any{}
		}
		for _, b := range value.Blocks(m, n.TypeName) {
			withBlocks(n.Block, b)
		}
	}
	return m
}

// operation prepares one operation inside a transaction.
func (s *Server) operation(w *cloud.World, t *catalog.Type) (*aws.Operation, error) {
	account, err := w.Account(s.who.Account)
	if err != nil {
		return nil, err
	}
	return &aws.Operation{World: w, Account: account, Who: s.who, Type: t}, nil
}

func (s *Server) configured() error {
	if s.store == nil {
		return errors.New("the provider is not configured")
	}
	return nil
}
