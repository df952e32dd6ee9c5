// SPDX-License-Identifier: Apache-2.0

// Package policy renders, reads and evaluates IAM policy documents.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"culvert/infra/twin/provider/internal/value"
)

type attrs = value.Attrs

// rendered is a statement in the key order that the real provider writes.
type rendered struct {
	Sid          string `json:"Sid,omitempty"`
	Effect       string `json:"Effect,omitempty"`
	Action       any    `json:"Action,omitempty"`
	NotAction    any    `json:"NotAction,omitempty"`
	Resource     any    `json:"Resource,omitempty"`
	NotResource  any    `json:"NotResource,omitempty"`
	Principal    any    `json:"Principal,omitempty"`
	NotPrincipal any    `json:"NotPrincipal,omitempty"`
	Condition    any    `json:"Condition,omitempty"`
}

type renderedDocument struct {
	Version   string     `json:"Version"`
	ID        string     `json:"Id,omitempty"`
	Statement []rendered `json:"Statement"`
}

// Render turns the arguments of data aws_iam_policy_document into its JSON, indented and on one line.
func Render(config attrs) (indented, minified string, err error) {
	doc := renderedDocument{Version: value.Text(config, "version"), ID: value.Text(config, "policy_id")}
	if doc.Version == "" {
		doc.Version = "2012-10-17"
	}
	if err := doc.merge(value.Texts(config, "source_policy_documents"), false); err != nil {
		return "", "", fmt.Errorf("source_policy_documents: %w", err)
	}
	own := map[string]bool{}
	for _, s := range value.Blocks(config, "statement") {
		st, err := renderStatement(s)
		if err != nil {
			return "", "", err
		}
		if st.Sid != "" && own[st.Sid] {
			return "", "", fmt.Errorf("duplicate Sid (%s)", st.Sid)
		}
		own[st.Sid] = true
		doc.add(st, true)
	}
	if err := doc.merge(value.Texts(config, "override_policy_documents"), true); err != nil {
		return "", "", fmt.Errorf("override_policy_documents: %w", err)
	}
	if minified, err = toJSON(doc); err != nil {
		return "", "", err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(minified), "", "  "); err != nil {
		return "", "", err
	}
	return out.String(), minified, nil
}

func toJSON(doc renderedDocument) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return "", err
	}
	return strings.TrimSpace(buf.String()), nil
}

// add appends a statement, or replaces the one with its Sid.
func (d *renderedDocument) add(st rendered, replace bool) {
	if replace && st.Sid != "" {
		for i := range d.Statement {
			if d.Statement[i].Sid == st.Sid {
				d.Statement[i] = st
				return
			}
		}
	}
	d.Statement = append(d.Statement, st)
}

func (d *renderedDocument) merge(documents []string, replace bool) error {
	for _, text := range documents {
		var other struct {
			Statement []rendered `json:"Statement"`
		}
		if err := json.Unmarshal([]byte(text), &other); err != nil {
			return err
		}
		for _, st := range other.Statement {
			d.add(st, replace)
		}
	}
	return nil
}

func renderStatement(s attrs) (rendered, error) {
	st := rendered{Sid: value.Text(s, "sid"), Effect: value.Text(s, "effect"),
		Action: oneOrMany(value.Texts(s, "actions")), NotAction: oneOrMany(value.Texts(s, "not_actions")),
		Resource: oneOrMany(value.Texts(s, "resources")), NotResource: oneOrMany(value.Texts(s, "not_resources")),
		Principal: principals(value.Blocks(s, "principals")), NotPrincipal: principals(value.Blocks(s, "not_principals"))}
	if st.Effect == "" {
		st.Effect = "Allow"
	}
	conditions := map[string]map[string]any{}
	for _, c := range value.Blocks(s, "condition") {
		test, variable := value.Text(c, "test"), value.Text(c, "variable")
		if conditions[test] == nil {
			conditions[test] = map[string]any{}
		}
		if conditions[test][variable] != nil {
			return rendered{}, fmt.Errorf("condition %s on %s is given twice in one statement", test, variable)
		}
		values := value.Texts(c, "values")
		if len(values) == 1 {
			conditions[test][variable] = values[0]
		} else {
			conditions[test][variable] = values
		}
	}
	if len(conditions) > 0 {
		st.Condition = conditions
	}
	return st, nil
}

// oneOrMany writes a single value plainly and several in reverse order, as the real provider does.
func oneOrMany(values []string) any {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	sorted := append([]string(nil), values...)
	sort.Sort(sort.Reverse(sort.StringSlice(sorted)))
	return sorted
}

func principals(blocks []attrs) any {
	byKind := map[string][]string{}
	for _, b := range blocks {
		kind := value.Text(b, "type")
		byKind[kind] = append(byKind[kind], value.Texts(b, "identifiers")...)
	}
	if len(byKind) == 0 {
		return nil
	}
	if everyone := byKind["*"]; len(byKind) == 1 && len(everyone) == 1 && everyone[0] == "*" {
		return "*"
	}
	result := map[string]any{}
	for kind, identifiers := range byKind {
		result[kind] = oneOrMany(identifiers)
	}
	return result
}
