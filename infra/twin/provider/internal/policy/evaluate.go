// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Statement of a policy that has been read.
type Statement struct {
	Sid                 string
	Allow               bool
	Actions, NotActions []string
	Resources, NotRes   []string
	Principals          map[string][]string // "AWS", "Service", ... or "*" -> ["*"]
	HasPrincipal        bool
	Conditions          map[string]map[string][]string
}

// Document that has been read.
type Document struct{ Statements []Statement }

// Kind says where a policy is attached, which decides what it must and must not name.
type Kind int

const (
	Identity Kind = iota // on a role: resources, no principal
	Resource             // on a thing: principals and resources
	Trust                // on a role: principals, no resources
)

// Parse reads a document and refuses what AWS refuses as malformed.
func Parse(text string, kind Kind) (Document, error) {
	var raw struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return Document{}, fmt.Errorf("MalformedPolicyDocument: not JSON: %w", err)
	}
	if raw.Version != "2012-10-17" && raw.Version != "2008-10-17" {
		return Document{}, fmt.Errorf("MalformedPolicyDocument: Version %q", raw.Version)
	}
	var statements []map[string]json.RawMessage
	if err := json.Unmarshal(raw.Statement, &statements); err != nil {
		var one map[string]json.RawMessage
		if json.Unmarshal(raw.Statement, &one) != nil {
			return Document{}, fmt.Errorf("MalformedPolicyDocument: no Statement")
		}
		statements = append(statements, one)
	}
	if len(statements) == 0 {
		return Document{}, fmt.Errorf("MalformedPolicyDocument: no Statement")
	}
	var doc Document
	for i, fields := range statements {
		st, err := parseStatement(fields, kind)
		if err != nil {
			return Document{}, fmt.Errorf("MalformedPolicyDocument: statement %d: %w", i+1, err)
		}
		doc.Statements = append(doc.Statements, st)
	}
	return doc, nil
}

var actionForm = regexp.MustCompile(`^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$`)

func parseStatement(fields map[string]json.RawMessage, kind Kind) (Statement, error) {
	st := Statement{Conditions: map[string]map[string][]string{}}
	for name, raw := range fields {
		var err error
		switch name {
		case "Sid":
			err = json.Unmarshal(raw, &st.Sid)
		case "Effect":
			var effect string
			if err = json.Unmarshal(raw, &effect); err == nil && effect != "Allow" && effect != "Deny" {
				err = fmt.Errorf("effect %q", effect)
			}
			st.Allow = effect == "Allow"
		case "Action":
			st.Actions, err = texts(raw)
		case "NotAction":
			st.NotActions, err = texts(raw)
		case "Resource":
			st.Resources, err = texts(raw)
		case "NotResource":
			st.NotRes, err = texts(raw)
		case "Principal":
			st.HasPrincipal = true
			st.Principals, err = principalMap(raw)
		case "Condition":
			st.Conditions, err = conditionMap(raw)
		default:
			err = fmt.Errorf("element %s is not one this provider evaluates", name)
		}
		if err != nil {
			return Statement{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return st, st.complete(fields, kind)
}

func (st *Statement) complete(fields map[string]json.RawMessage, kind Kind) error {
	if fields["Effect"] == nil {
		return fmt.Errorf("no Effect")
	}
	if len(st.Actions)+len(st.NotActions) == 0 {
		return fmt.Errorf("no Action")
	}
	for _, a := range st.Actions {
		if !actionForm.MatchString(a) {
			return fmt.Errorf("action %q is not service:Action", a)
		}
	}
	if kind == Identity && st.HasPrincipal {
		return fmt.Errorf("a policy of a role must not name a Principal")
	}
	if kind != Identity && !st.HasPrincipal {
		return fmt.Errorf("a policy of a resource must name a Principal")
	}
	hasResource := len(st.Resources)+len(st.NotRes) > 0
	if kind != Trust && !hasResource {
		return fmt.Errorf("no Resource")
	}
	if kind == Trust && hasResource {
		return fmt.Errorf("a trust policy must not name a Resource")
	}
	return nil
}

func texts(raw json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		return nil, fmt.Errorf("neither a string nor a list of strings")
	}
	return many, nil
}

func principalMap(raw json.RawMessage) (map[string][]string, error) {
	var everyone string
	if json.Unmarshal(raw, &everyone) == nil {
		if everyone != "*" {
			return nil, fmt.Errorf("%q", everyone)
		}
		return map[string][]string{"*": {"*"}}, nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return nil, err
	}
	result := map[string][]string{}
	for kind, r := range kinds {
		values, err := texts(r)
		if err != nil {
			return nil, err
		}
		result[kind] = values
	}
	return result, nil
}

func conditionMap(raw json.RawMessage) (map[string]map[string][]string, error) {
	var operators map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &operators); err != nil {
		return nil, err
	}
	result := map[string]map[string][]string{}
	for op, keys := range operators {
		if conditionOperators[op] == nil {
			return nil, fmt.Errorf("operator %s is not one this provider evaluates", op)
		}
		result[op] = map[string][]string{}
		for key, r := range keys {
			values, err := texts(r)
			if err != nil {
				return nil, err
			}
			result[op][key] = values
		}
	}
	return result, nil
}

// Caller is who asks: a role session, or a service.
type Caller struct {
	Account string
	Role    string // name of the role, without a path
	Service string // "lambda.amazonaws.com" where a service asks for itself
}

// Request is one call.
type Request struct {
	Caller   Caller
	Action   string
	Resource string
	Context  map[string]string
}

// Verdict of one document.
type Verdict int

const (
	Silent Verdict = iota // says nothing: an implicit deny
	Allowed
	AllowedByAccount // allowed through the account: its own identity policies must allow it as well
	Denied
)

// Evaluate asks one document.  With resource policies the caller must be named.
func (d Document) Evaluate(r Request, kind Kind) Verdict {
	verdict := Silent
	for _, st := range d.Statements {
		through := Allowed
		if kind != Identity {
			named, byAccount := st.names(r.Caller)
			if !named {
				continue
			}
			if byAccount {
				through = AllowedByAccount
			}
		}
		if !st.covers(r, kind) {
			continue
		}
		if !st.Allow {
			return Denied
		}
		if verdict != Allowed {
			verdict = through
		}
	}
	return verdict
}

func (st Statement) covers(r Request, kind Kind) bool {
	if len(st.NotActions) > 0 {
		if anyLike(st.NotActions, r.Action, true) {
			return false
		}
	} else if !anyLike(st.Actions, r.Action, true) {
		return false
	}
	if kind != Trust {
		if len(st.NotRes) > 0 {
			if anyLike(st.NotRes, r.Resource, false) {
				return false
			}
		} else if !anyLike(st.Resources, r.Resource, false) {
			return false
		}
	}
	for op, keys := range st.Conditions {
		for key, wanted := range keys {
			actual, present := r.Context[strings.ToLower(key)]
			if !conditionOperators[op](wanted, actual, present) {
				return false
			}
		}
	}
	return true
}

// names says whether the statement's principals include the caller, and whether only through its account.
func (st Statement) names(c Caller) (named, byAccount bool) {
	for kind, values := range st.Principals {
		for _, v := range values {
			switch {
			case v == "*" && kind != "Service":
				return true, false
			case kind == "Service":
				if c.Service != "" && v == c.Service {
					return true, false
				}
			case kind == "AWS" && c.Service == "":
				if v == fmt.Sprintf("arn:aws:iam::%s:role/%s", c.Account, c.Role) {
					return true, false
				}
				if v == c.Account || v == fmt.Sprintf("arn:aws:iam::%s:root", c.Account) {
					named, byAccount = true, true
				}
			}
		}
	}
	return named, byAccount
}

type operator func(wanted []string, actual string, present bool) bool

var conditionOperators = map[string]operator{
	"StringEquals":    func(w []string, a string, p bool) bool { return p && contains(w, a) },
	"StringNotEquals": func(w []string, a string, p bool) bool { return !p || !contains(w, a) },
	"StringLike":      func(w []string, a string, p bool) bool { return p && anyLike(w, a, false) },
	"ArnEquals":       func(w []string, a string, p bool) bool { return p && anyLike(w, a, false) },
	"ArnLike":         func(w []string, a string, p bool) bool { return p && anyLike(w, a, false) },
	"Bool":            func(w []string, a string, p bool) bool { return p && contains(w, a) },
	"Null":            func(w []string, _ string, p bool) bool { return contains(w, fmt.Sprint(!p)) },
}

func contains(values []string, x string) bool {
	for _, v := range values {
		if v == x {
			return true
		}
	}
	return false
}

func anyLike(patterns []string, x string, ignoreCase bool) bool {
	for _, p := range patterns {
		if ignoreCase {
			p, x = strings.ToLower(p), strings.ToLower(x)
		}
		if like(p, x) {
			return true
		}
	}
	return false
}

// like matches IAM's wildcards: * any number of characters, ? one.
func like(pattern, x string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, ".*"), `\?`, ".")
	return regexp.MustCompile("^(?s:" + quoted + ")$").MatchString(x)
}
