// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"

	"culvert/infra/twin/provider/internal/value"
)

func TestApplyAgainChangesNothing(t *testing.T) {
	a := newWorld(t).in(stream)
	config := attrs{"cidr_block": "10.0.0.0/16", "tags": attrs{"Name": "x"}}
	vpc := a.create("aws_vpc", config)
	if !strings.HasPrefix(vpc["id"].(string), "vpc-") || vpc["enable_dns_support"] != true {
		t.Fatalf("got %v", vpc)
	}
	p, problem := a.plan("aws_vpc", config, a.read("aws_vpc", vpc))
	if problem != "" || !value.Equal(p.state, vpc) || p.replace != nil {
		t.Fatalf("%s replace %v\nplanned %v\nbefore  %v", problem, p.replace, p.state, vpc)
	}
}

func TestDriftIsRead(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc := a.create("aws_vpc", attrs{"cidr_block": "10.0.0.0/16"})
	key := "aws_vpc/" + vpc["id"].(string)
	a.byHand(stream, func(records map[string]any) {
		records[key].(map[string]any)["attributes"].(map[string]any)["enable_dns_support"] = false
	})
	if got := a.read("aws_vpc", vpc); got["enable_dns_support"] != false {
		t.Fatalf("a change by hand is not seen: %v", got["enable_dns_support"])
	}
	a.byHand(stream, func(records map[string]any) { delete(records, key) })
	if got := a.read("aws_vpc", vpc); got != nil {
		t.Fatalf("a thing that is gone is still there: %v", got)
	}
	if problem := a.destroy("aws_vpc", vpc); problem != "" {
		t.Fatalf("deleting what is gone: %s", problem)
	}
}

func TestUpdateKeepsTheIdAndReplacementIsAsked(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc := a.create("aws_vpc", attrs{"cidr_block": "10.0.0.0/16"})
	changed, problem := a.try("aws_vpc", attrs{"cidr_block": "10.0.0.0/16", "enable_dns_hostnames": true}, vpc)
	if problem != "" || changed["id"] != vpc["id"] || changed["enable_dns_hostnames"] != true {
		t.Fatalf("%s %v", problem, changed)
	}
	p, _ := a.plan("aws_vpc", attrs{"cidr_block": "10.1.0.0/16"}, vpc)
	if len(p.replace) != 1 || !strings.Contains(p.replace[0], "cidr_block") {
		t.Fatalf("replace %v", p.replace)
	}
}

func TestUnknownValuesArePlannedNotJudged(t *testing.T) {
	a := newWorld(t).in(stream)
	p, problem := a.plan("aws_subnet", attrs{"vpc_id": value.Unknown, "cidr_block": value.Unknown}, nil)
	if problem != "" || !value.IsUnknown(p.state["id"]) || !value.IsUnknown(p.state["vpc_id"]) {
		t.Fatalf("%s %v", problem, p.state)
	}
}

func TestDefaultTagsReachTagsAll(t *testing.T) {
	w := newWorld(t)
	a, _ := w.as(attrs{"default_tags": []any{attrs{"tags": attrs{"application": "culvert", "owner": "us"}}}})
	vpc := a.create("aws_vpc", attrs{"cidr_block": "10.0.0.0/16", "tags": attrs{"owner": "them"}})
	want := attrs{"application": "culvert", "owner": "them"}
	if !value.Equal(vpc["tags_all"], want) {
		t.Fatalf("got %v", vpc["tags_all"])
	}
}

func TestAccountsOfTheProviderBlock(t *testing.T) {
	w := newWorld(t)
	cases := []struct {
		name   string
		config attrs
		want   string // account, or part of the refusal
	}{
		{"none named", attrs{}, stream},
		{"allowed", attrs{"allowed_account_ids": []any{analytics}}, analytics},
		{"role", attrs{"assume_role": []any{attrs{"role_arn": "arn:aws:iam::333333333333:role/ci/deploy"}}}, "333333333333"},
		{"role of another account", attrs{"allowed_account_ids": []any{stream},
			"assume_role": []any{attrs{"role_arn": "arn:aws:iam::333333333333:role/deploy"}}}, "not allowed: 333333333333"},
		{"no role", attrs{"assume_role": []any{attrs{"role_arn": "deploy"}}}, "is not the ARN of a role"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a, diagnostics := w.as(tc.config)
			if len(diagnostics) > 0 {
				if !strings.Contains(text(diagnostics), tc.want) {
					t.Fatal(text(diagnostics))
				}
				return
			}
			got, _ := a.data("aws_caller_identity", attrs{})
			if got["account_id"] != tc.want {
				t.Fatalf("got %v", got["account_id"])
			}
		})
	}
}

func TestWithoutACloudFolderTheProviderSaysSo(t *testing.T) {
	w := newWorld(t)
	s := New(w.catalog, func(string) string { return "" })
	err := s.configure(attrs{"region": "eu-central-1"})
	if err == nil || !strings.Contains(err.Error(), EnvCloud) {
		t.Fatalf("got %v", err)
	}
}

func TestEqualThingsGetDifferentIdsAndTheSameInAnotherRun(t *testing.T) {
	ids := func() [2]any {
		a := newWorld(t).in(stream)
		return [2]any{a.create("aws_eip", attrs{})["id"], a.create("aws_eip", attrs{})["id"]}
	}
	first, second := ids(), ids()
	if first[0] == first[1] || first != second {
		t.Fatalf("got %v and %v", first, second)
	}
}

func TestGeneratedNamesKeepTheirPrefixAndLimit(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, _ := a.network("10.0")
	group := a.create("aws_lb_target_group", attrs{"name_prefix": "b1-", "port": 9096.0, "protocol": "TCP",
		"target_type": "ip", "vpc_id": vpc["id"]})
	if name := group["name"].(string); !strings.HasPrefix(name, "b1-") || len(name) > 32 {
		t.Fatalf("got %q", name)
	}
}

func TestNamesCollideWithinAnAccountOnly(t *testing.T) {
	w := newWorld(t)
	table := attrs{"name": "aggregates", "hash_key": "device_id", "billing_mode": "PAY_PER_REQUEST",
		"attribute": []any{attrs{"name": "device_id", "type": "N"}}}
	w.in(stream).create("aws_dynamodb_table", table)
	w.in(analytics).create("aws_dynamodb_table", table)
	w.in(stream).refused("aws_dynamodb_table", table, "AlreadyExists")
	bucket := attrs{"bucket": "culvert"}
	w.in(stream).create("aws_s3_bucket", bucket)
	w.in(analytics).refused("aws_s3_bucket", bucket, "AlreadyExists")
}

func TestReferencesMustLeadSomewhereInTheSameAccount(t *testing.T) {
	w := newWorld(t)
	vpc := w.in(stream).create("aws_vpc", attrs{"cidr_block": "10.0.0.0/16"})
	subnet := attrs{"vpc_id": vpc["id"], "cidr_block": "10.0.0.0/24"}
	w.in(analytics).refused("aws_subnet", subnet, "NotFound")
	w.in(stream).create("aws_subnet", subnet)
}

func TestWhatIsInUseCannotBeDeleted(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, _ := a.network("10.0")
	if problem := a.destroy("aws_vpc", vpc); !strings.Contains(problem, "DependencyViolation") {
		t.Fatalf("got %q", problem)
	}
	table := a.create("aws_dynamodb_table", attrs{"name": "kept", "hash_key": "k", "deletion_protection_enabled": true,
		"attribute": []any{attrs{"name": "k", "type": "S"}}})
	if problem := a.destroy("aws_dynamodb_table", table); !strings.Contains(problem, "deletion_protection_enabled") {
		t.Fatalf("got %q", problem)
	}
}

func TestWhatTheServiceDecidesCannotBeConfigured(t *testing.T) {
	newWorld(t).in(stream).refused("aws_vpc", attrs{"cidr_block": "10.0.0.0/16", "arn": "arn:x"}, "decided by the service")
}

func TestABugIsADiagnostic(t *testing.T) {
	var diagnostics []*tfprotov5.Diagnostic
	func() {
		defer guard(&diagnostics)
		panic("broken")
	}()
	if len(diagnostics) != 1 || !strings.Contains(diagnostics[0].Summary, "broken") {
		t.Fatalf("got %v", text(diagnostics))
	}
}

func TestATypeThatIsNotServedIsAnError(t *testing.T) {
	a := newWorld(t).in(stream)
	r, err := a.s.ApplyResourceChange(context.Background(), &tfprotov5.ApplyResourceChangeRequest{TypeName: "aws_none",
		PriorState: &tfprotov5.DynamicValue{}, PlannedState: &tfprotov5.DynamicValue{}})
	if err != nil || !strings.Contains(text(r.Diagnostics), "types.txt") {
		t.Fatal(err, text(r.Diagnostics))
	}
}

func TestImportFindsAndMisses(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc := a.create("aws_vpc", attrs{"cidr_block": "10.0.0.0/16"})
	for id, want := range map[string]string{vpc["id"].(string): "", "vpc-none": "has no aws_vpc"} {
		r, err := a.s.ImportResourceState(context.Background(),
			&tfprotov5.ImportResourceStateRequest{TypeName: "aws_vpc", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if got := text(r.Diagnostics); want == "" && got != "" || !strings.Contains(got, want) {
			t.Fatalf("%s: got %q", id, got)
		}
	}
}
