// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"strings"
	"testing"
	"testing/fstest"

	"culvert/infra/twin/provider/internal/value"
	"culvert/infra/twin/provider/overlay"
	"culvert/infra/twin/provider/schema"
)

func load(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load(schema.JSON, overlay.Files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryTypeHasAnOverlay(t *testing.T) {
	for name, typ := range load(t).Types {
		r := typ.Rule
		if r.Identity == nil && r.ForceNew == nil && r.Checks == nil && r.Sensitive == nil &&
			!strings.HasPrefix(name, "data.") {
			t.Errorf("%s: the overlay says nothing of it", name)
		}
	}
}

func TestAnOverlayOfWhatIsNotThereIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"aws_vpc": {"force_new": ["cidr"]}}`:                                  "no cidr",
		`{"aws_vpcs": {}}`:                                                      "no type aws_vpcs",
		`{"aws_vpc": {"checks": {"cidr_block": {"shape": "round"}}}}`:           "unknown shape",
		`{"aws_vpc": {"force-new": []}}`:                                        "unknown field",
		`{"aws_lb_listener": {"references": {"default_action.group": "x.id"}}}`: "no default_action.group",
	} {
		files := fstest.MapFS{"x.json": &fstest.MapFile{Data: []byte(text)}}
		if _, err := Load(schema.JSON, files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestChecks(t *testing.T) {
	c := load(t)
	cases := []struct {
		name, typ string
		config    value.Attrs
		want      string // "" = accepted
	}{
		{"block", "aws_vpc", value.Attrs{"cidr_block": "10.0.0.0/16"}, ""},
		{"host bits", "aws_vpc", value.Attrs{"cidr_block": "10.0.0.1/16"}, "host bits"},
		{"no block", "aws_vpc", value.Attrs{"cidr_block": "10.0.0.0"}, "not a CIDR"},
		{"unknown is not judged", "aws_vpc", value.Attrs{"cidr_block": value.Unknown}, ""},
		{"long load balancer name", "aws_lb", value.Attrs{"name": strings.Repeat("a", 33)}, "has 33"},
		{"long prefix", "aws_lb", value.Attrs{"name_prefix": "culvert-"}, "has 8"},
		{"name and prefix", "aws_lb", value.Attrs{"name": "a", "name_prefix": "b"}, "only one of"},
		{"wrong word", "aws_lb", value.Attrs{"load_balancer_type": "net"}, "expected one of"},
		{"nested word", "aws_lb_listener",
			value.Attrs{"default_action": []any{value.Attrs{"type": "send"}}}, "default_action.type"},
		{"both sources", "aws_lambda_event_source_mapping", value.Attrs{"event_source_arn": "arn:aws:kafka:::c",
			"self_managed_event_source": []any{value.Attrs{}}}, "exactly one of"},
		{"unknown sources are not judged", "aws_lambda_event_source_mapping",
			value.Attrs{"event_source_arn": value.Unknown, "self_managed_event_source": value.Unknown}, ""},
		{"no source at all", "aws_lambda_event_source_mapping", value.Attrs{}, "exactly one of"},
		{"idle time too short", "aws_lb_listener", value.Attrs{"tcp_idle_timeout_seconds": 59.0}, "60 to 6000"},
		{"retention in between", "aws_cloudwatch_log_group", value.Attrs{"retention_in_days": 31.0}, "one of"},
		{"principal in a role's policy", "aws_iam_role_policy", value.Attrs{"policy": `{"Version":"2012-10-17",
			"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:Get","Resource":"*"}}`}, "must not name"},
		{"no principal in a secret's policy", "aws_secretsmanager_secret_policy", value.Attrs{"policy": `{"Version":
			"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`}, "must name a Principal"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var messages []string
			for _, p := range c.Types[tc.typ].Validate(tc.config) {
				messages = append(messages, p.Message)
			}
			got := strings.Join(messages, "; ")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWriteOnlyAndSecretValuesAreSensitive(t *testing.T) {
	for _, a := range load(t).Types["aws_secretsmanager_secret_version"].Schema.Block.Attributes {
		switch a.Name {
		case "secret_string_wo":
			if !a.WriteOnly || !a.Sensitive {
				t.Errorf("%s: write-only %v, sensitive %v", a.Name, a.WriteOnly, a.Sensitive)
			}
		case "secret_string":
			if !a.Sensitive {
				t.Errorf("%s is shown", a.Name)
			}
		}
	}
}
