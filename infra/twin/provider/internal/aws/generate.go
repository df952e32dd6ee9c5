// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"

	"culvert/infra/twin/provider/internal/value"
)

// generator gives computed values.  They derive from the account, the region and what the configuration says, so that
// the same apply in an empty cloud makes the same ids: tests and people can compare.
type generator struct {
	o    *Operation
	hash string
}

func (o *Operation) newGenerator() *generator {
	hash := ""
	for ordinal := 0; ; ordinal++ {
		hash = o.hashOf(o.knownPart(), ordinal)
		if !o.hashTaken(hash) {
			break
		}
	}
	return &generator{o: o, hash: hash}
}

func (o *Operation) hashOf(seed string, ordinal int) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s|%s|%s|%s|%d", o.Account.ID, o.region(), o.Type.Name, seed, ordinal)))
	return hex.EncodeToString(sum[:])
}

// knownPart is what was known at plan, as text; unknown values do not take part.
func (o *Operation) knownPart() string {
	data, err := json.Marshal(withoutUnknown(o.Attrs))
	if err != nil {
		return o.Type.Name // only values that JSON has come in here
	}
	return string(data)
}

func withoutUnknown(x any) any {
	switch v := x.(type) {
	case attrs:
		result := attrs{}
		for k, e := range v {
			if !value.IsUnknown(e) {
				result[k] = withoutUnknown(e)
			}
		}
		return result
	case []any:
		result := []any{}
		for _, e := range v {
			if !value.IsUnknown(e) {
				result = append(result, withoutUnknown(e))
			}
		}
		return result
	}
	return x
}

// hashTaken keeps two things with equal arguments apart.
func (o *Operation) hashTaken(hash string) bool {
	for _, r := range o.Account.OfType(o.Type.Name) {
		if r != o.Record && r.Hidden["hash"] == hash {
			return true
		}
	}
	return false
}

func (o *Operation) generateName() {
	rule := o.Type.Rule.Name
	if rule == nil || !value.IsUnknown(o.Attrs[rule.Attribute]) {
		return
	}
	prefix := value.Text(o.Attrs, rule.Prefix)
	if prefix == "" {
		prefix = rule.DefaultPrefix
	}
	// The real provider appends 26 characters that never repeat.
	for ordinal := 0; ; ordinal++ {
		name := prefix + o.hashOf(o.knownPart(), ordinal)[:26]
		o.Attrs[rule.Attribute] = name
		if !o.nameTaken(rule.Attribute, name) {
			return
		}
	}
}

func (o *Operation) nameTaken(attribute, name string) bool {
	for _, r := range o.Account.OfType(o.Type.Name) {
		if r.Text(attribute) == name {
			return true
		}
	}
	return o.Account.Buried[o.Type.Name+"/"+name] != ""
}

// fill replaces every unknown by its template's value, or by null where the overlay has none: a value that nobody
// modelled must not look like one.
func (g *generator) fill() {
	g.fillBlock("", g.o.Type.Schema.Block, g.o.Attrs)
}

func (g *generator) fillBlock(path string, block *tfprotov5.SchemaBlock, m attrs) {
	for _, a := range block.Attributes {
		if value.IsUnknown(m[a.Name]) {
			m[a.Name] = g.resolve(path + a.Name)
		} else if !value.WhollyKnown(m[a.Name]) {
			m[a.Name] = withoutUnknown(m[a.Name])
		}
	}
	for _, n := range block.BlockTypes {
		for _, b := range value.Blocks(m, n.TypeName) {
			g.fillBlock(path+n.TypeName+".", n.Block, b)
		}
	}
}

func (g *generator) resolve(path string) any {
	if path == "region" {
		return g.o.Who.Region
	}
	if template, ok := g.o.Type.Rule.Identity[path]; ok {
		return g.expand(template)
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{(\w+)(?::(\d+))?\}`)

func (g *generator) expand(template any) any {
	switch t := template.(type) {
	case string:
		return placeholder.ReplaceAllStringFunc(t, func(m string) string {
			part := placeholder.FindStringSubmatch(m)
			return g.word(part[1], part[2])
		})
	case []any:
		result := make([]any, len(t))
		for i, e := range t {
			result[i] = g.expand(e)
		}
		return result
	}
	return template
}

func (g *generator) word(name, size string) string {
	switch name {
	case "account":
		return g.o.Account.ID
	case "region":
		return g.o.region()
	case "caller_role":
		return g.o.Who.Role
	case "hex":
		n, _ := strconv.Atoi(size)
		return g.hash[:min(n, len(g.hash))]
	case "uuid":
		h := g.hash
		return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
	case "byte":
		n, _ := strconv.ParseUint(g.hash[:2], 16, 8)
		return strconv.FormatUint(n, 10)
	}
	if name == "cluster_path" { // cluster/NAME/UUID of a cluster's ARN, without its first word
		_, path, _ := strings.Cut(g.o.text("cluster_arn"), ":cluster/")
		return path
	}
	if value.IsUnknown(g.o.Attrs[name]) {
		g.o.Attrs[name] = g.resolve(name)
	}
	if s, ok := g.o.Attrs[name].(string); ok {
		return s
	}
	return ""
}

// FillAnswer gives a data source's or ephemeral resource's computed values their templates' values.
func (o *Operation) FillAnswer() { o.newGenerator().fill() }
