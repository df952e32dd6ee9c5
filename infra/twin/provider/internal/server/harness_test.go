// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"

	"culvert/infra/twin/provider/internal/aws"
	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/value"
	"culvert/infra/twin/provider/overlay"
	"culvert/infra/twin/provider/schema"
)

type attrs = value.Attrs

const (
	stream    = "111111111111"
	analytics = "222222222222"
)

// world is one cloud folder with any number of providers on it.
type world struct {
	t       *testing.T
	dir     string
	catalog *catalog.Catalog
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := catalog.Load(schema.JSON, overlay.Files)
	if err != nil {
		t.Fatal(err)
	}
	aws.Use(c)
	return &world{t: t, dir: t.TempDir(), catalog: c}
}

// account is a provider configured for one account.
type account struct {
	*world
	s *Server
}

func (w *world) as(config attrs) (*account, []*tfprotov5.Diagnostic) {
	w.t.Helper()
	if config["region"] == nil {
		config["region"] = "eu-central-1"
	}
	s := New(w.catalog, func(name string) string {
		if name == EnvCloud {
			return w.dir
		}
		return ""
	})
	wire, err := value.ToWire(withBlocks(w.catalog.Provider.Block, config), w.catalog.Provider.ValueType())
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := tfprotov5.NewDynamicValue(w.catalog.Provider.ValueType(), wire)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := s.ConfigureProvider(context.Background(), &tfprotov5.ConfigureProviderRequest{Config: &d})
	if err != nil {
		w.t.Fatal(err)
	}
	return &account{w, s}, r.Diagnostics
}

func (w *world) in(number string) *account {
	w.t.Helper()
	a, diagnostics := w.as(attrs{"allowed_account_ids": []any{number}})
	if len(diagnostics) > 0 {
		w.t.Fatal(text(diagnostics))
	}
	return a
}

func text(diagnostics []*tfprotov5.Diagnostic) string {
	var parts []string
	for _, d := range diagnostics {
		parts = append(parts, d.Summary+": "+d.Detail)
	}
	return strings.Join(parts, "\n")
}

func (a *account) wire(typ string, m attrs) *tfprotov5.DynamicValue {
	a.t.Helper()
	d, err := encode(copyOf(m), a.catalog.Types[typ])
	if err != nil {
		a.t.Fatalf("%s: %v", typ, err)
	}
	return d
}

func (a *account) plain(typ string, d *tfprotov5.DynamicValue) attrs {
	a.t.Helper()
	m, err := decode(d, a.catalog.Types[typ].Wire)
	if err != nil {
		a.t.Fatal(err)
	}
	return m
}

// propose plays the core: what is configured, and for computed attributes what was there before.
func propose(block *tfprotov5.SchemaBlock, config, prior attrs) attrs {
	result := attrs{}
	for _, x := range block.Attributes {
		result[x.Name] = config[x.Name]
		if config[x.Name] == nil && x.Computed && prior != nil {
			result[x.Name] = prior[x.Name]
		}
	}
	for _, n := range block.BlockTypes {
		before := value.Blocks(prior, n.TypeName)
		list := []any{}
		for i, b := range value.Blocks(config, n.TypeName) {
			var old attrs
			if i < len(before) {
				old = before[i]
			}
			list = append(list, propose(n.Block, b, old))
		}
		result[n.TypeName] = list
		if n.Nesting == tfprotov5.SchemaNestedBlockNestingModeSingle {
			result[n.TypeName] = nil
		}
	}
	return result
}

type planned struct {
	config, prior, state attrs
	replace              []string
}

func (a *account) plan(typ string, config, prior attrs) (planned, string) {
	a.t.Helper()
	v, err := a.s.ValidateResourceTypeConfig(context.Background(),
		&tfprotov5.ValidateResourceTypeConfigRequest{TypeName: typ, Config: a.wire(typ, config)})
	if err != nil {
		a.t.Fatal(err)
	}
	if len(v.Diagnostics) > 0 {
		return planned{}, text(v.Diagnostics)
	}
	proposed := propose(a.catalog.Types[typ].Schema.Block, config, prior)
	r, err := a.s.PlanResourceChange(context.Background(), &tfprotov5.PlanResourceChangeRequest{TypeName: typ,
		Config: a.wire(typ, config), PriorState: a.wire(typ, prior), ProposedNewState: a.wire(typ, proposed)})
	if err != nil {
		a.t.Fatal(err)
	}
	p := planned{config: config, prior: prior, state: a.plain(typ, r.PlannedState)}
	for _, path := range r.RequiresReplace {
		p.replace = append(p.replace, path.String())
	}
	return p, text(r.Diagnostics)
}

func (a *account) try(typ string, config, prior attrs) (attrs, string) {
	a.t.Helper()
	p, problem := a.plan(typ, config, prior)
	if problem != "" {
		return nil, problem
	}
	return a.finish(typ, p)
}

func (a *account) finish(typ string, p planned) (attrs, string) {
	a.t.Helper()
	r, err := a.s.ApplyResourceChange(context.Background(), &tfprotov5.ApplyResourceChangeRequest{TypeName: typ,
		Config: a.wire(typ, p.config), PriorState: a.wire(typ, p.prior), PlannedState: a.wire(typ, p.state)})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.plain(typ, r.NewState), text(r.Diagnostics)
}

func (a *account) create(typ string, config attrs) attrs {
	a.t.Helper()
	m, problem := a.try(typ, config, nil)
	if problem != "" {
		a.t.Fatalf("%s: %s", typ, problem)
	}
	return m
}

func (a *account) refused(typ string, config attrs, want string) {
	a.t.Helper()
	if _, problem := a.try(typ, config, nil); !strings.Contains(problem, want) {
		a.t.Fatalf("%s: got %q, want %q", typ, problem, want)
	}
}

func (a *account) destroy(typ string, state attrs) string {
	a.t.Helper()
	_, problem := a.finish(typ, planned{prior: state})
	return problem
}

func (a *account) read(typ string, state attrs) attrs {
	a.t.Helper()
	r, err := a.s.ReadResource(context.Background(),
		&tfprotov5.ReadResourceRequest{TypeName: typ, CurrentState: a.wire(typ, state)})
	if err != nil || len(r.Diagnostics) > 0 {
		a.t.Fatal(err, text(r.Diagnostics))
	}
	return a.plain(typ, r.NewState)
}

func (a *account) data(typ string, config attrs) (attrs, string) {
	a.t.Helper()
	name := "data." + typ
	r, err := a.s.ReadDataSource(context.Background(),
		&tfprotov5.ReadDataSourceRequest{TypeName: typ, Config: a.wire(name, config)})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.plain(name, r.State), text(r.Diagnostics)
}

// byHand plays somebody who changes things outside of any apply.
func (w *world) byHand(number string, change func(records map[string]any)) {
	w.t.Helper()
	path := filepath.Join(w.dir, number+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		w.t.Fatal(err)
	}
	change(file["records"].(map[string]any))
	if data, err = json.Marshal(file); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// network makes a VPC with three subnets, one a zone.
func (a *account) network(block string) (vpc attrs, subnets []any) {
	a.t.Helper()
	vpc = a.create("aws_vpc", attrs{"cidr_block": block + ".0.0/16", "enable_dns_hostnames": true})
	for i, zone := range []string{"a", "b", "c"} {
		s := a.create("aws_subnet", attrs{"vpc_id": vpc["id"], "availability_zone": "eu-central-1" + zone,
			"cidr_block": block + "." + string(rune('0'+i)) + ".0/24"})
		subnets = append(subnets, s["id"])
	}
	return vpc, subnets
}
