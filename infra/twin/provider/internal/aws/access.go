// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"

	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/policy"
	"culvert/infra/twin/provider/internal/value"
)

// ask is one question to the policies.
type ask struct {
	account  *cloud.Account // of the one who asks
	role     string
	action   string
	resource string
	context  map[string]string
}

func (a ask) request() policy.Request {
	return policy.Request{Caller: policy.Caller{Account: a.account.ID, Role: a.role}, Action: a.action,
		Resource: a.resource, Context: a.context}
}

// identityAllows asks the role's own policies.  A role that this cloud does not have is whoever applies the roots: an
// administrator of its own account.
func identityAllows(a ask) (bool, error) {
	if a.account.Get("aws_iam_role", a.role) == nil {
		return true, nil
	}
	allowed := false
	for _, r := range a.account.OfType("aws_iam_role_policy") {
		if r.Text("role") != a.role {
			continue
		}
		doc, err := policy.Parse(r.Text("policy"), policy.Identity)
		if err != nil {
			return false, fmt.Errorf("policy %s: %w", r.ID, err)
		}
		switch doc.Evaluate(a.request(), policy.Identity) {
		case policy.Denied:
			return false, nil
		case policy.Allowed:
			allowed = true
		}
	}
	return allowed, nil
}

// resourceAllows joins a resource policy with the identity's.
// The owner's account needs no resource policy unless the service says so (KMS: the key policy always decides).
func resourceAllows(a ask, owner, resourcePolicy string, alwaysDecides bool) (bool, string, error) {
	identity, err := identityAllows(a)
	if err != nil {
		return false, "", err
	}
	verdict := policy.Silent
	if resourcePolicy != "" {
		doc, err := policy.Parse(resourcePolicy, policy.Resource)
		if err != nil {
			return false, "", err
		}
		verdict = doc.Evaluate(a.request(), policy.Resource)
	}
	who := fmt.Sprintf("arn:aws:iam::%s:role/%s", a.account.ID, a.role)
	switch {
	case verdict == policy.Denied:
		return false, "the resource's policy denies it", nil
	case verdict == policy.Silent && (owner != a.account.ID || alwaysDecides):
		return false, fmt.Sprintf("no resource-based policy allows %s to %s", who, a.action), nil
	case !identity && (verdict != policy.Allowed || owner != a.account.ID):
		return false, fmt.Sprintf("no identity-based policy of %s allows %s on %s", who, a.action, a.resource), nil
	}
	return true, "", nil
}

func denied(a ask, why string) error {
	return fmt.Errorf("AccessDeniedException: arn:aws:sts::%s:assumed-role/%s/twin is not authorized to perform: %s on "+
		"resource: %s because %s", a.account.ID, a.role, a.action, a.resource, why)
}

// require fails where the policies do not allow.
func require(a ask, owner, resourcePolicy string, alwaysDecides bool) error {
	ok, why, err := resourceAllows(a, owner, resourcePolicy, alwaysDecides)
	if err != nil {
		return err
	}
	if !ok {
		return denied(a, why)
	}
	return nil
}

// requireIdentity asks the role alone.
func requireIdentity(account *cloud.Account, role, action, resource string) error {
	a := ask{account: account, role: role, action: action, resource: resource}
	ok, err := identityAllows(a)
	if err != nil {
		return err
	}
	if !ok {
		return denied(a, "no identity-based policy allows it")
	}
	return nil
}

// serviceAllowed asks whether a resource policy lets a service do something.
func serviceAllowed(resourcePolicy, service, action, resource string, context map[string]string) (bool, error) {
	doc, err := policy.Parse(resourcePolicy, policy.Resource)
	if err != nil {
		return false, err
	}
	verdict := doc.Evaluate(policy.Request{Caller: policy.Caller{Service: service}, Action: action, Resource: resource,
		Context: context}, policy.Resource)
	return verdict == policy.Allowed, nil
}

// trusts says whether a role can be assumed by a service.
func trusts(role *cloud.Record, service string, context map[string]string) (bool, error) {
	doc, err := policy.Parse(role.Text("assume_role_policy"), policy.Trust)
	if err != nil {
		return false, err
	}
	verdict := doc.Evaluate(policy.Request{Caller: policy.Caller{Service: service}, Action: "sts:AssumeRole",
		Context: context}, policy.Trust)
	return verdict == policy.Allowed, nil
}

// roleByARN finds a role of an account.
func roleByARN(account *cloud.Account, arn string) *cloud.Record {
	for _, r := range account.OfType("aws_iam_role") {
		if r.Text("arn") == arn {
			return r
		}
	}
	return nil
}

// findByARN finds a thing of a type in any account.
func findByARN(w *cloud.World, typ, arn string) (*cloud.Account, *cloud.Record, error) {
	accounts, err := w.Accounts()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range accounts {
		for _, r := range a.OfType(typ) {
			if r.Text("arn") == arn {
				return a, r, nil
			}
		}
	}
	return nil, nil, nil
}

// byAttribute finds a thing of an account by one attribute.
func byAttribute(a *cloud.Account, typ, attribute, x string) *cloud.Record {
	for _, r := range a.OfType(typ) {
		if value.Text(r.Attributes, attribute) == x {
			return r
		}
	}
	return nil
}
