// SPDX-License-Identifier: Apache-2.0

// Package aws plays the services: what an apply creates, what it refuses, and what can be read back.
//
// It models what culvert's modules can get wrong: names that collide, references that lead nowhere, order of deletion,
// accounts that may not read each other's things, zones that are not offered, brokers that are not one per zone.
// It does not model time: everything is ready at once.
package aws

import (
	"fmt"
	"strings"

	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

type attrs = value.Attrs

// Who is the identity that a provider block was configured with.
type Who struct {
	Account     string
	Region      string
	Role        string
	DefaultTags attrs
}

// Operation is one create, update, delete or read of one thing.
type Operation struct {
	World   *cloud.World
	Account *cloud.Account
	Who     Who
	Type    *catalog.Type
	Config  attrs         // as written, with write-only values; nil for delete and read
	Prior   attrs         // nil for create
	Attrs   attrs         // the thing as it will be
	Record  *cloud.Record // the thing in the cloud
}

// Kind is what is special about one type.  Each hook may be nil.
type Kind struct {
	Validate func(config attrs) []catalog.Problem // configuration alone; unknowns are not judged
	Replace  func(prior, planned attrs) []string  // further attributes whose change replaces the resource
	Create   func(o *Operation) error             // computed values are in place; may change them
	Update   func(o *Operation) error
	Delete   func(o *Operation) error
	Read     func(o *Operation) error // bring derived attributes up to date
	Data     func(o *Operation) error // answer of a data source or ephemeral resource
}

// KindOf never returns nil.
func KindOf(name string) Kind { return kinds[name] }

func (o *Operation) text(name string) string { return value.Text(o.Attrs, name) }

func (o *Operation) region() string {
	if r := o.text("region"); r != "" {
		return r
	}
	return o.Who.Region
}

func (o *Operation) find(typ, id string) *cloud.Record { return o.Account.Get(typ, id) }

// Create makes the thing in the cloud and leaves its attributes in o.Attrs.
func (o *Operation) Create() error {
	o.generateName()
	g := o.newGenerator()
	g.fill()
	o.Record = &cloud.Record{Type: o.Type.Name, Region: o.region(), Attributes: o.Attrs, Hidden: attrs{"hash": g.hash}}
	if err := o.checkUnique(); err != nil {
		return err
	}
	if err := o.checkReferences(); err != nil {
		return err
	}
	if create := KindOf(o.Type.Name).Create; create != nil {
		if err := create(o); err != nil {
			return err
		}
	}
	o.Record.ID = idOf(o.Attrs)
	if o.Record.ID == "" {
		return fmt.Errorf("%s: the overlay gives it neither id nor arn", o.Type.Name)
	}
	return o.Account.Put(o.Record)
}

// Update changes the thing.
func (o *Operation) Update() error {
	if err := o.bind(idOf(o.Prior)); err != nil {
		return err
	}
	o.newGenerator().fill()
	if err := o.checkUnique(); err != nil {
		return err
	}
	if err := o.checkReferences(); err != nil {
		return err
	}
	if update := KindOf(o.Type.Name).Update; update != nil {
		if err := update(o); err != nil {
			return err
		}
	}
	o.Record.Attributes = o.Attrs
	return nil
}

// Delete removes the thing; what is gone already is no error.
func (o *Operation) Delete() error {
	if o.bind(idOf(o.Prior)) != nil {
		return nil
	}
	o.Attrs = o.Record.Attributes
	if guard := o.Type.Rule.Guard; guard != "" && value.True(o.Attrs, guard) {
		return fmt.Errorf("OperationNotPermitted: %s %s: %s is on", o.Type.Name, o.Record.ID, guard)
	}
	if err := o.checkDependents(); err != nil {
		return err
	}
	if del := KindOf(o.Type.Name).Delete; del != nil {
		if err := del(o); err != nil {
			return err
		}
	}
	o.Account.Remove(o.Type.Name, o.Record.ID)
	return nil
}

// Read looks the thing up; o.Attrs is nil where it is gone.
func (o *Operation) Read() error {
	if o.bind(idOf(o.Prior)) != nil {
		o.Attrs = nil
		return nil
	}
	o.Attrs = value.Clone(o.Record.Attributes).(attrs)
	if read := KindOf(o.Type.Name).Read; read != nil {
		return read(o)
	}
	return nil
}

// idOf is how the cloud keeps a thing: newer types of the real provider have an ARN and no id.
func idOf(m attrs) string {
	if id := value.Text(m, "id"); id != "" {
		return id
	}
	return value.Text(m, "arn")
}

func (o *Operation) bind(id string) error {
	o.Record = o.find(o.Type.Name, id)
	if o.Record == nil {
		return fmt.Errorf("%s %s does not exist in account %s", o.Type.Name, id, o.Account.ID)
	}
	return nil
}

// inScope says whether another record shares the scope in which names are taken once.
func (o *Operation) inScope(r *cloud.Record) bool {
	return o.Type.Rule.Scope == "account" || o.Type.Rule.Scope == "world" || r.Region == o.region()
}

func (o *Operation) checkUnique() error {
	accounts := []*cloud.Account{o.Account}
	if o.Type.Rule.Scope == "world" {
		all, err := o.World.Accounts()
		if err != nil {
			return err
		}
		accounts = all
	}
	for _, names := range o.Type.Rule.Unique {
		for _, account := range accounts {
			for _, other := range account.OfType(o.Type.Name) {
				if other != o.Record && o.inScope(other) && sameValues(o.Attrs, other.Attributes, names) {
					return fmt.Errorf("AlreadyExists: account %s has a %s with this %s already (%s)", account.ID,
						o.Type.Name, strings.Join(names, ", "), other.ID)
				}
			}
		}
	}
	if name := o.Type.Rule.Name; name != nil {
		if why := o.Account.Buried[o.Type.Name+"/"+o.text(name.Attribute)]; why != "" {
			return fmt.Errorf("InvalidRequest: the name %s cannot be used: %s", o.text(name.Attribute), why)
		}
	}
	return nil
}

func sameValues(a, b attrs, names []string) bool {
	for _, n := range names {
		if !value.Equal(a[n], b[n]) {
			return false
		}
	}
	return true
}

// reference is one alternative of an overlay entry "type.attribute|type.attribute!".
type reference struct {
	typ, attribute string
	holds          bool // the thing referred to cannot be deleted while this one refers to it
}

func parseReferences(spec string) []reference {
	var result []reference
	for _, alternative := range strings.Split(spec, "|") {
		target, holds := strings.CutSuffix(alternative, "!")
		typ, attribute, _ := strings.Cut(target, ".")
		result = append(result, reference{typ, attribute, holds})
	}
	return result
}

func (o *Operation) checkReferences() error {
	for path, spec := range o.Type.Rule.References {
		for _, x := range value.At(o.Attrs, path) {
			id, ok := x.(string)
			if !ok || id == "" {
				continue
			}
			if !o.exists(parseReferences(spec), id) {
				return fmt.Errorf("NotFound: %s: %s names %q, and account %s has no such %s in %s", o.Type.Name, path, id,
					o.Account.ID, strings.TrimSuffix(spec, "!"), o.region())
			}
		}
	}
	return nil
}

func (o *Operation) exists(alternatives []reference, id string) bool {
	for _, ref := range alternatives {
		for _, r := range o.Account.OfType(ref.typ) {
			if r.Text(ref.attribute) == id && (r.Region == o.region() || isGlobal(ref.typ)) {
				return true
			}
		}
	}
	return false
}

func isGlobal(typ string) bool {
	return strings.HasPrefix(typ, "aws_iam_") || strings.HasPrefix(typ, "aws_route53_")
}

func (o *Operation) checkDependents() error {
	for _, r := range o.Account.All() {
		if r == o.Record {
			continue
		}
		for path, spec := range referencesOf(r.Type) {
			for _, ref := range parseReferences(spec) {
				if !ref.holds || ref.typ != o.Type.Name {
					continue
				}
				for _, x := range value.At(r.Attributes, path) {
					if x == o.Record.Attributes[ref.attribute] {
						return fmt.Errorf("DependencyViolation: %s %s cannot be deleted: %s %s uses it", o.Type.Name,
							o.Record.ID, r.Type, r.ID)
					}
				}
			}
		}
	}
	return nil
}

// references of every type, set once by Use: a record of another type tells by them what it holds on to.
var allTypes map[string]*catalog.Type

// Use makes the catalog known; called once, before the first operation.
func Use(c *catalog.Catalog) { allTypes = c.Types }

func referencesOf(typ string) map[string]string {
	if t := allTypes[typ]; t != nil {
		return t.Rule.References
	}
	return nil
}
