// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"culvert/infra/twin/provider/internal/policy"
	"culvert/infra/twin/provider/internal/value"
)

// Rule is the overlay of one type.  Paths are dotted and go through nested blocks.
type Rule struct {
	Identity   map[string]any    `json:"identity"`    // path -> template of a computed value (package aws expands it)
	ForceNew   []string          `json:"force_new"`   // a change of it replaces the resource
	Recomputed []string          `json:"recomputed"`  // computed values that any update changes
	Defaults   map[string]any    `json:"defaults"`    // what the real provider fills in where nothing is given
	Sensitive  []string          `json:"sensitive"`   // never shown
	Checks     map[string]Check  `json:"checks"`      // validators
	Conflicts  [][]string        `json:"conflicts"`   // at most one of each group
	ExactlyOne [][]string        `json:"exactly_one"` // exactly one of each group
	Unique     [][]string        `json:"unique"`      // attributes that together are taken once in the scope
	Scope      string            `json:"scope"`       // of uniqueness: "region" (default), "account", "world"
	References map[string]string `json:"references"`  // path -> "type.attribute|..."; "!" = blocks deletion of it
	Name       *NameRule         `json:"name"`        // generated names
	Guard      string            `json:"guard"`       // while true, the service refuses to delete
}

// NameRule says which attribute is made from which prefix.
type NameRule struct {
	Attribute     string `json:"attribute"`
	Prefix        string `json:"prefix"`
	DefaultPrefix string `json:"default_prefix"`
}

// Check is one validator; all its parts must hold.
type Check struct {
	Shape      string    `json:"shape"`
	OneOf      []any     `json:"one_of"`
	Range      []float64 `json:"range"`
	Length     []int     `json:"length"`
	Pattern    string    `json:"pattern"`
	NotPattern string    `json:"not_pattern"`
}

// Problem is one finding, at a top-level attribute.
type Problem struct {
	Attribute string
	Message   string
}

func (t *Type) verifyRule() error {
	paths := append(append(append([]string{}, t.Rule.ForceNew...), t.Rule.Recomputed...), t.Rule.Sensitive...)
	for _, groups := range [][][]string{t.Rule.Conflicts, t.Rule.ExactlyOne, t.Rule.Unique} {
		for _, g := range groups {
			paths = append(paths, g...)
		}
	}
	for p := range t.Rule.Identity {
		paths = append(paths, p)
	}
	for p := range t.Rule.Defaults {
		paths = append(paths, p)
	}
	for p := range t.Rule.References {
		paths = append(paths, p)
	}
	if t.Rule.Guard != "" {
		paths = append(paths, t.Rule.Guard)
	}
	if t.Rule.Name != nil {
		paths = append(paths, t.Rule.Name.Attribute, t.Rule.Name.Prefix)
	}
	for p, c := range t.Rule.Checks {
		paths = append(paths, p)
		for _, pattern := range []string{c.Pattern, c.NotPattern} {
			if _, err := regexp.Compile(pattern); err != nil {
				return fmt.Errorf("overlay: check of %s: %w", p, err)
			}
		}
		if _, known := shapes[c.Shape]; c.Shape != "" && !known {
			return fmt.Errorf("overlay: check of %s: unknown shape %s", p, c.Shape)
		}
	}
	for _, p := range paths {
		if !has(t.Schema.Block, p) {
			return fmt.Errorf("overlay: the schema has no %s", p)
		}
	}
	return nil
}

// Validate applies the overlay's checks to a configuration; what is unknown is not judged.
func (t *Type) Validate(config value.Attrs) []Problem {
	var problems []Problem
	add := func(path, format string, a ...any) {
		head, _, _ := strings.Cut(path, ".")
		problems = append(problems, Problem{head, fmt.Sprintf(format, a...)})
	}
	for path, check := range t.Rule.Checks {
		for _, x := range value.At(config, path) {
			if message := check.apply(x); message != "" {
				add(path, "%s: %s", path, message)
			}
		}
	}
	for _, group := range t.Rule.Conflicts {
		if set := given(config, group); len(set) > 1 {
			add(set[0], "conflicting arguments: only one of %s may be set", strings.Join(set, ", "))
		}
	}
	for _, group := range t.Rule.ExactlyOne {
		set, possible := given(config, group), 0
		for _, name := range group {
			if value.MayBeSet(config, name) {
				possible++
			}
		}
		if len(set) > 1 || possible == 0 {
			add(group[0], "exactly one of %s must be set, %d are", strings.Join(group, ", "), len(set))
		}
	}
	return problems
}

func given(config value.Attrs, names []string) []string {
	var set []string
	for _, n := range names {
		if value.IsSet(config, n) {
			set = append(set, n)
		}
	}
	return set
}

func (c Check) apply(x any) string {
	if len(c.OneOf) > 0 && !isOneOf(c.OneOf, x) {
		allowed, _ := json.Marshal(c.OneOf)
		return fmt.Sprintf("expected one of %s, got %v", allowed, x)
	}
	if n, ok := x.(float64); ok && len(c.Range) == 2 && (n < c.Range[0] || n > c.Range[1]) {
		return fmt.Sprintf("expected %v to %v, got %v", c.Range[0], c.Range[1], n)
	}
	s, ok := x.(string)
	if !ok {
		return ""
	}
	if n := utf8.RuneCountInString(s); len(c.Length) == 2 && (n < c.Length[0] || n > c.Length[1]) {
		return fmt.Sprintf("expected %d to %d characters, %q has %d", c.Length[0], c.Length[1], s, n)
	}
	if c.Pattern != "" && !regexp.MustCompile(c.Pattern).MatchString(s) {
		return fmt.Sprintf("%q does not match %s", s, c.Pattern)
	}
	if c.NotPattern != "" && regexp.MustCompile(c.NotPattern).MatchString(s) {
		return fmt.Sprintf("%q must not match %s", s, c.NotPattern)
	}
	if c.Shape != "" {
		if err := shapes[c.Shape](s); err != nil {
			return err.Error()
		}
	}
	return ""
}

func isOneOf(allowed []any, x any) bool {
	for _, a := range allowed {
		if a == x {
			return true
		}
	}
	return false
}

var (
	arnForm       = regexp.MustCompile(`^arn:aws(-[a-z]+)*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|aws)?:\S+$`)
	principalForm = regexp.MustCompile(`^(\*|arn:aws:iam::[0-9]{12}:(root|(role|user)/\S+))$`)
	domainForm    = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*` +
		`[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?$`)
)

var shapes = map[string]func(string) error{
	"cidr": func(s string) error {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("%q is not a CIDR block", s)
		}
		if p.Masked() != p {
			return fmt.Errorf("%q has host bits set: the block is %s", s, p.Masked())
		}
		return nil
	},
	"arn":       matcher(arnForm, "an ARN"),
	"principal": matcher(principalForm, "the ARN of an account, role or user"),
	"domain":    matcher(domainForm, "a domain name in lower case"),
	"json": func(s string) error {
		if !json.Valid([]byte(s)) {
			return fmt.Errorf("not JSON")
		}
		return nil
	},
	"base64": func(s string) error {
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return fmt.Errorf("not base64: %w", err)
		}
		return nil
	},
	"identity_policy": policyShape(policy.Identity),
	"resource_policy": policyShape(policy.Resource),
	"trust_policy":    policyShape(policy.Trust),
}

func matcher(form *regexp.Regexp, what string) func(string) error {
	return func(s string) error {
		if !form.MatchString(s) {
			return fmt.Errorf("%q is not %s", s, what)
		}
		return nil
	}
}

func policyShape(kind policy.Kind) func(string) error {
	return func(s string) error {
		_, err := policy.Parse(s, kind)
		return err
	}
}
