// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"culvert/infra/twin/provider/internal/value"
)

func statement(fields value.Attrs) value.Attrs {
	return value.Attrs{"statement": []any{fields}}
}

func TestRenderWritesWhatTheRealProviderWrites(t *testing.T) {
	config := statement(value.Attrs{"sid": "Read", "actions": []any{"s3:GetObject", "s3:ListBucket"},
		"resources":  []any{"arn:aws:s3:::b"},
		"principals": []any{value.Attrs{"type": "AWS", "identifiers": []any{"arn:aws:iam::1:root"}}},
		"condition": []any{value.Attrs{"test": "StringEquals", "variable": "aws:SourceAccount",
			"values": []any{"1"}}}})
	_, minified, err := Render(config)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow",` +
		`"Action":["s3:ListBucket","s3:GetObject"],"Resource":"arn:aws:s3:::b",` +
		`"Principal":{"AWS":"arn:aws:iam::1:root"},"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}}]}`
	if minified != want {
		t.Fatalf("got\n%s\nwant\n%s", minified, want)
	}
}

func TestRenderRefusesASidTwice(t *testing.T) {
	two := value.Attrs{"statement": []any{value.Attrs{"sid": "A"}, value.Attrs{"sid": "A"}}}
	if _, _, err := Render(two); err == nil || !strings.Contains(err.Error(), "duplicate Sid") {
		t.Fatalf("got %v", err)
	}
}

func TestOverridesReplaceBySidAndSourcesComeFirst(t *testing.T) {
	source := `{"Statement":[{"Sid":"A","Effect":"Allow","Action":"s3:Get*","Resource":"x"}]}`
	override := `{"Statement":[{"Sid":"B","Effect":"Deny","Action":"s3:Put*","Resource":"y"}]}`
	config := statement(value.Attrs{"sid": "B", "actions": []any{"s3:PutObject"}, "resources": []any{"y"}})
	config["source_policy_documents"], config["override_policy_documents"] = []any{source}, []any{override}
	_, minified, err := Render(config)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Index(minified, `"A"`) > strings.Index(minified, `"B"`) || !strings.Contains(minified, `"Deny"`) ||
		strings.Contains(minified, "s3:PutObject") {
		t.Fatalf("got %s", minified)
	}
}

func parse(t *testing.T, text string, kind Kind) Document {
	t.Helper()
	doc, err := Parse(text, kind)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEvaluateIdentityPolicies(t *testing.T) {
	doc := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Put*"],"Resource":"arn:aws:dynamodb:*:1:table/a"},
		{"Effect":"Deny","Action":"dynamodb:PutItem","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*",
		 "Condition":{"StringLike":{"kms:ViaService":"secretsmanager.*"}}}]}`, Identity)
	cases := []struct {
		name, action, resource string
		context                map[string]string
		want                   Verdict
	}{
		{"listed", "dynamodb:GetItem", "arn:aws:dynamodb:eu:1:table/a", nil, Allowed},
		{"wildcard, other case", "DynamoDB:putitem", "arn:aws:dynamodb:eu:1:table/a", nil, Allowed},
		{"other table", "dynamodb:GetItem", "arn:aws:dynamodb:eu:1:table/ab", nil, Silent},
		{"other action", "dynamodb:DeleteItem", "arn:aws:dynamodb:eu:1:table/a", nil, Silent},
		{"denied", "dynamodb:PutItem", "arn:aws:dynamodb:eu:1:table/a",
			map[string]string{"aws:securetransport": "false"}, Denied},
		{"condition absent", "kms:Decrypt", "k", nil, Silent},
		{"condition met", "kms:Decrypt", "k", map[string]string{"kms:viaservice": "secretsmanager.eu"}, Allowed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got := doc.Evaluate(Request{Action: tc.action, Resource: tc.resource, Context: tc.context}, Identity)
			if got != tc.want {
				t.Fatalf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestEvaluatePrincipals(t *testing.T) {
	cases := []struct {
		name, principal string
		caller          Caller
		want            Verdict
	}{
		{"the role", `{"AWS":"arn:aws:iam::2:role/reader"}`, Caller{Account: "2", Role: "reader"}, Allowed},
		{"another role", `{"AWS":"arn:aws:iam::2:role/reader"}`, Caller{Account: "2", Role: "writer"}, Silent},
		{"its account", `{"AWS":"arn:aws:iam::2:root"}`, Caller{Account: "2", Role: "reader"}, AllowedByAccount},
		{"another account", `{"AWS":"arn:aws:iam::2:root"}`, Caller{Account: "3", Role: "reader"}, Silent},
		{"anybody", `"*"`, Caller{Account: "3", Role: "x"}, Allowed},
		{"the service", `{"Service":"lambda.amazonaws.com"}`, Caller{Service: "lambda.amazonaws.com"}, Allowed},
		{"another service", `{"Service":"lambda.amazonaws.com"}`, Caller{Service: "ec2.amazonaws.com"}, Silent},
		{"an account is no service", `{"AWS":"arn:aws:iam::2:root"}`, Caller{Service: "ec2.amazonaws.com"}, Silent},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			doc := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":`+tc.principal+
				`,"Action":"x:*","Resource":"*"}}`, Resource)
			got := doc.Evaluate(Request{Caller: tc.caller, Action: "x:Do", Resource: "r"}, Resource)
			if got != tc.want {
				t.Fatalf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestMalformedDocumentsAreRefused(t *testing.T) {
	cases := map[string]struct {
		text, want string
		kind       Kind
	}{
		"not JSON": {"x", "not JSON", Identity},
		"version":  {`{"Version":"2020-01-01","Statement":[]}`, "Version", Identity},
		"empty":    {`{"Version":"2012-10-17","Statement":[]}`, "no Statement", Identity},
		"effect": {`{"Version":"2012-10-17","Statement":{"Effect":"Yes","Action":"a:b","Resource":"*"}}`, "effect",
			Identity},
		"action's form": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"GetItem","Resource":"*"}}`,
			"service:Action", Identity},
		"no resource": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b"}}`, "no Resource",
			Identity},
		"unknown element": {`{"Version":"2012-10-17","Statement":{"Effects":"Allow","Action":"a:b","Resource":"*"}}`,
			"Effects", Identity},
		"unknown operator": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*",
			"Condition":{"IpAddress":{"aws:SourceIp":"1.2.3.4"}}}}`, "IpAddress", Identity},
		"trust with resource": {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",
			"Principal":{"Service":"x"},"Resource":"*"}}`, "must not name a Resource", Trust},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(tc.text, tc.kind); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
		})
	}
}
