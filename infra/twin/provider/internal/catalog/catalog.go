// SPDX-License-Identifier: Apache-2.0

// Package catalog joins the generated schema with the hand-written overlay: what is known of each type.
package catalog

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Type is everything known of one resource, data source or ephemeral resource.
type Type struct {
	Name   string // "aws_vpc", "data.aws_region", "ephemeral.aws_..."
	Schema *tfprotov5.Schema
	Wire   tftypes.Object
	Rule   Rule
}

// Catalog of all types, by name.
type Catalog struct {
	Provider *tfprotov5.Schema
	Types    map[string]*Type
}

type jsonAttribute struct {
	Type                         json.RawMessage `json:"type"`
	Required, Optional, Computed bool
}

type jsonNested struct {
	Nesting string    `json:"nesting_mode"`
	Min     int64     `json:"min_items"`
	Max     int64     `json:"max_items"`
	Block   jsonBlock `json:"block"`
}

type jsonBlock struct {
	Attributes map[string]jsonAttribute `json:"attributes"`
	BlockTypes map[string]jsonNested    `json:"block_types"`
}

type jsonSchema struct {
	Block jsonBlock `json:"block"`
}

type jsonProvider struct {
	Provider  jsonSchema            `json:"provider"`
	Resources map[string]jsonSchema `json:"resource_schemas"`
	Data      map[string]jsonSchema `json:"data_source_schemas"`
	Ephemeral map[string]jsonSchema `json:"ephemeral_resource_schemas"`
}

// Load reads the schema and the overlay and refuses an overlay that speaks of what the schema does not have.
func Load(schemaJSON []byte, overlay fs.FS) (*Catalog, error) {
	var source jsonProvider
	if err := json.Unmarshal(schemaJSON, &source); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	rules, err := readRules(overlay)
	if err != nil {
		return nil, err
	}
	c := &Catalog{Types: map[string]*Type{}}
	block, err := toBlock("provider", source.Provider.Block, Rule{})
	if err != nil {
		return nil, err
	}
	c.Provider = &tfprotov5.Schema{Block: block}
	for prefix, section := range map[string]map[string]jsonSchema{
		"": source.Resources, "data.": source.Data, "ephemeral.": source.Ephemeral} {
		for name, s := range section {
			if err := c.add(prefix+name, s, rules[prefix+name]); err != nil {
				return nil, fmt.Errorf("%s: %w", prefix+name, err)
			}
			delete(rules, prefix+name)
		}
	}
	for name := range rules {
		return nil, fmt.Errorf("overlay: the schema has no type %s", name)
	}
	return c, nil
}

func (c *Catalog) add(name string, s jsonSchema, rule Rule) error {
	block, err := toBlock("", s.Block, rule)
	if err != nil {
		return err
	}
	schema := &tfprotov5.Schema{Block: block}
	wire, ok := schema.ValueType().(tftypes.Object)
	if !ok {
		return fmt.Errorf("the schema is not an object")
	}
	t := &Type{Name: name, Schema: schema, Wire: wire, Rule: rule}
	c.Types[name] = t
	return t.verifyRule()
}

func readRules(overlay fs.FS) (map[string]Rule, error) {
	files, err := fs.Glob(overlay, "*.json")
	if err != nil {
		return nil, err
	}
	result := map[string]Rule{}
	for _, file := range files {
		data, err := fs.ReadFile(overlay, file)
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		decoder.DisallowUnknownFields()
		var part map[string]Rule
		if err := decoder.Decode(&part); err != nil {
			return nil, fmt.Errorf("overlay %s: %w", file, err)
		}
		for name, rule := range part {
			if _, twice := result[name]; twice {
				return nil, fmt.Errorf("overlay %s: %s appears twice", file, name)
			}
			result[name] = rule
		}
	}
	return result, nil
}

var nesting = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
}

func toBlock(path string, source jsonBlock, rule Rule) (*tfprotov5.SchemaBlock, error) {
	block := &tfprotov5.SchemaBlock{}
	for name, a := range source.Attributes {
		// The only use of the parser: the schema's types are written in the JSON form that it reads.
		typ, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck
		if err != nil {
			return nil, fmt.Errorf("%s%s: %w", path, name, err)
		}
		writeOnly := strings.HasSuffix(name, "_wo") && !a.Computed
		block.Attributes = append(block.Attributes, &tfprotov5.SchemaAttribute{Name: name, Type: typ,
			Required: a.Required, Optional: a.Optional, Computed: a.Computed, WriteOnly: writeOnly,
			Sensitive: writeOnly || contains(rule.Sensitive, path+name)})
	}
	sort.Slice(block.Attributes, func(i, j int) bool { return block.Attributes[i].Name < block.Attributes[j].Name })
	for name, n := range source.BlockTypes {
		mode, known := nesting[n.Nesting]
		if !known {
			return nil, fmt.Errorf("%s%s: nesting %q", path, name, n.Nesting)
		}
		inner, err := toBlock(path+name+".", n.Block, rule)
		if err != nil {
			return nil, err
		}
		block.BlockTypes = append(block.BlockTypes, &tfprotov5.SchemaNestedBlock{TypeName: name, Nesting: mode,
			MinItems: n.Min, MaxItems: n.Max, Block: inner})
	}
	nested := block.BlockTypes
	sort.Slice(nested, func(i, j int) bool { return nested[i].TypeName < nested[j].TypeName })
	return block, nil
}

// has says whether the schema has a dotted path, given in attributes and blocks.
func has(block *tfprotov5.SchemaBlock, path string) bool {
	head, rest, nested := strings.Cut(path, ".")
	for _, b := range block.BlockTypes {
		if b.TypeName == head {
			return !nested || has(b.Block, rest)
		}
	}
	for _, a := range block.Attributes {
		if a.Name == head {
			return !nested
		}
	}
	return false
}

func contains(list []string, x string) bool {
	for _, e := range list {
		if e == x {
			return true
		}
	}
	return false
}
