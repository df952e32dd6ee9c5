// SPDX-License-Identifier: Apache-2.0

package server

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"culvert/infra/twin/provider/internal/value"
)

// The two accounts as culvert uses them, each service once with what it refuses.

func cluster(subnets []any, group any, brokers float64) attrs {
	return attrs{"cluster_name": "events", "kafka_version": "3.9.x.kraft", "number_of_broker_nodes": brokers,
		"broker_node_group_info": []any{attrs{"instance_type": "kafka.m7g.large", "client_subnets": subnets,
			"security_groups": []any{group}}},
		"client_authentication": []any{attrs{"sasl": []any{attrs{"scram": true, "iam": true}}}}}
}

func (a *account) group(vpc attrs) any {
	return a.create("aws_security_group", attrs{"name": "brokers", "vpc_id": vpc["id"]})["id"]
}

func TestBrokersAreListedByIdAndSpreadOverZones(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, subnets := a.network("10.0")
	c := a.create("aws_msk_cluster", cluster(subnets, a.group(vpc), 6))
	got, problem := a.data("aws_msk_broker_nodes", attrs{"cluster_arn": c["arn"]})
	if problem != "" {
		t.Fatal(problem)
	}
	nodes := value.Blocks(got, "node_info_list")
	addresses, perZone := map[any]bool{}, map[any]int{}
	for _, n := range nodes {
		addresses[n["client_vpc_ip_address"]] = true
		perZone[n["client_subnet"]]++
	}
	if len(nodes) != 6 || len(addresses) != 6 || len(perZone) != 3 || nodes[0]["broker_id"] == 1.0 {
		t.Fatalf("got %v", nodes)
	}
	bootstrap := c["bootstrap_brokers_sasl_scram"].(string)
	if n := len(strings.Split(bootstrap, ",")); n != 3 || !strings.Contains(bootstrap, ":9096") {
		t.Fatalf("the bootstrap string lists one broker per zone, got %s", bootstrap)
	}
}

func TestClustersThatTheServiceRefuses(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, subnets := a.network("10.0")
	group := a.group(vpc)
	sameZone := a.create("aws_subnet", attrs{"vpc_id": vpc["id"], "availability_zone": "eu-central-1a",
		"cidr_block": "10.0.9.0/24"})["id"]
	a.refused("aws_msk_cluster", cluster(subnets, group, 4), "must be a multiple")
	a.refused("aws_msk_cluster", cluster([]any{subnets[0], sameZone}, group, 2), "same zone")
	a.refused("aws_msk_cluster", cluster(subnets[:1], group, 2), "two or three client subnets")
	old := cluster(subnets, group, 3)
	old["kafka_version"] = "2.8.1"
	a.refused("aws_msk_cluster", old, "unsupported KafkaVersion")
	small := cluster(subnets, group, 3)
	info := value.Block(small, "broker_node_group_info")
	info["instance_type"] = "kafka.t3.small"
	info["connectivity_info"] = []any{attrs{"vpc_connectivity": []any{attrs{"client_authentication": []any{
		attrs{"sasl": []any{attrs{"iam": true}}}}}}}}
	a.refused("aws_msk_cluster", small, "not available for kafka.t3.small")
}

func (a *account) balancer(subnets []any, groups []any) attrs {
	return a.create("aws_lb", attrs{"name_prefix": "b1-", "internal": true, "load_balancer_type": "network",
		"subnets": subnets, "security_groups": groups})
}

func TestSecurityGroupsOfALoadBalancerCannotBeAddedLater(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, subnets := a.network("10.0")
	lb := a.balancer(subnets, nil)
	config := attrs{"name_prefix": "b1-", "internal": true, "load_balancer_type": "network", "subnets": subnets,
		"security_groups": []any{a.group(vpc)}}
	p, problem := a.plan("aws_lb", config, lb)
	if problem != "" || len(p.replace) != 1 {
		t.Fatalf("%s replace %v", problem, p.replace)
	}
}

func (a *account) service(lb attrs, principals ...string) attrs {
	s := a.create("aws_vpc_endpoint_service", attrs{"acceptance_required": true,
		"network_load_balancer_arns": []any{lb["arn"]}})
	for _, p := range principals {
		a.create("aws_vpc_endpoint_service_allowed_principal",
			attrs{"vpc_endpoint_service_id": s["id"], "principal_arn": p})
	}
	return s
}

func endpoint(vpc attrs, service any, subnets []any) attrs {
	return attrs{"vpc_id": vpc["id"], "service_name": service, "vpc_endpoint_type": "Interface", "subnet_ids": subnets}
}

func TestEndpointNeedsToBeAllowedAndAccepted(t *testing.T) {
	w := newWorld(t)
	s, c := w.in(stream), w.in(analytics)
	_, far := s.network("10.0")
	vpc, subnets := c.network("10.1")
	service := s.service(s.balancer(far, nil))
	config := endpoint(vpc, service["service_name"], subnets)

	c.refused("aws_vpc_endpoint", config, "does not exist")
	if _, problem := c.data("aws_vpc_endpoint_service", attrs{"service_name": service["service_name"]}); problem == "" {
		t.Fatal("a service that is not offered to this account is visible")
	}
	s.create("aws_vpc_endpoint_service_allowed_principal", attrs{"vpc_endpoint_service_id": service["id"],
		"principal_arn": "arn:aws:iam::" + analytics + ":role/deploy"})
	if stranger, _ := w.as(attrs{"assume_role": []any{attrs{"role_arn": "arn:aws:iam::" + analytics +
		":role/stranger"}}}); true {
		stranger.refused("aws_vpc_endpoint", config, "allowed principals")
	}
	e := c.create("aws_vpc_endpoint", config)
	if e["state"] != "pendingAcceptance" || len(value.Texts(e, "network_interface_ids")) != 3 {
		t.Fatalf("got %v", e)
	}
	if problem := s.destroy("aws_vpc_endpoint_service", service); !strings.Contains(problem,
		"ExistingVpcEndpointConnections") {
		t.Fatalf("got %q", problem)
	}
	accepter := s.create("aws_vpc_endpoint_connection_accepter",
		attrs{"vpc_endpoint_id": e["id"], "vpc_endpoint_service_id": service["id"]})
	if got := c.read("aws_vpc_endpoint", e); got["state"] != "available" {
		t.Fatalf("accepted, but %v", got["state"])
	}
	s.destroy("aws_vpc_endpoint_connection_accepter", accepter)
	if got := c.read("aws_vpc_endpoint", e); got["state"] != "rejected" {
		t.Fatalf("rejected, but %v", got["state"])
	}
	s.refused("aws_vpc_endpoint_connection_accepter", attrs{"vpc_endpoint_id": "vpce-00000000000000000",
		"vpc_endpoint_service_id": service["id"]}, "NotFound")
}

func TestZoneNamesDifferBetweenAccounts(t *testing.T) {
	w := newWorld(t)
	s, c := w.in(stream), w.in(analytics)
	_, far := s.network("10.0")
	vpc, subnets := c.network("10.1")
	service := s.service(s.balancer(far[:1], nil), "arn:aws:iam::"+analytics+":root")
	// The same name, eu-central-1a, is another zone in the other account.
	c.refused("aws_vpc_endpoint", endpoint(vpc, service["service_name"], subnets[:1]),
		"does not support the availability zone")
	seen, problem := c.data("aws_vpc_endpoint_service", attrs{"service_name": service["service_name"]})
	if problem != "" {
		t.Fatal(problem)
	}
	if names := value.Texts(seen, "availability_zones"); len(names) != 1 || names[0] == "eu-central-1a" {
		t.Fatalf("got %v", names)
	}
}

const keyPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},
	"Action":"kms:*","Resource":"*"}%s]}`

func keyReader(principal string) string {
	return fmt.Sprintf(`,{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:Decrypt","Resource":"*"}`, principal)
}

func secretReader(principal string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},
		"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`, principal)
}

func TestSecretAcrossAccountsNeedsAllThreePoliciesAndTheFullARN(t *testing.T) {
	root := "arn:aws:iam::" + analytics + ":root"
	cases := []struct {
		name, keyPolicy, secretPolicy, by string
		ownKey                            bool
		want                              string // "" = readable
	}{
		{"all", keyReader(root), secretReader(root), "arn", true, ""},
		{"by name", keyReader(root), secretReader(root), "name", true, "full ARN"},
		{"no resource policy", keyReader(root), "", "arn", true, "no resource-based policy"},
		{"another account in it", keyReader(root), secretReader("arn:aws:iam::333333333333:root"), "arn", true,
			"no resource-based"},
		{"no key policy", "", secretReader(root), "arn", true, "access to KMS is not allowed"},
		{"default key", "", secretReader(root), "arn", false, "default KMS service key"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			s, c := w.in(stream), w.in(analytics)
			config := attrs{"name": "handover"}
			if tc.ownKey {
				config["kms_key_id"] = s.create("aws_kms_key", attrs{"policy": fmt.Sprintf(keyPolicy, stream, tc.keyPolicy)})["arn"]
			}
			secret := s.create("aws_secretsmanager_secret", config)
			if tc.secretPolicy != "" {
				s.create("aws_secretsmanager_secret_policy", attrs{"secret_arn": secret["arn"], "policy": tc.secretPolicy})
			}
			s.create("aws_secretsmanager_secret_version", attrs{"secret_id": secret["id"], "secret_string": "document"})
			got, problem := c.data("aws_secretsmanager_secret_version", attrs{"secret_id": secret[tc.by]})
			if tc.want == "" && (problem != "" || got["secret_string"] != "document") || !strings.Contains(problem, tc.want) {
				t.Fatalf("got %q %v", problem, got)
			}
		})
	}
}

func TestAKeyWhosePolicyLocksItsMakerOutIsRefused(t *testing.T) {
	newWorld(t).in(stream).refused("aws_kms_key", attrs{"policy": fmt.Sprintf(keyPolicy, analytics, "")},
		"will not allow you to update")
}

func TestASecretsNameStaysTakenDuringItsRecoveryWindow(t *testing.T) {
	a := newWorld(t).in(stream)
	kept := a.create("aws_secretsmanager_secret", attrs{"name": "kept"})
	gone := a.create("aws_secretsmanager_secret", attrs{"name": "gone", "recovery_window_in_days": 0.0})
	if problem := a.destroy("aws_secretsmanager_secret", kept) + a.destroy("aws_secretsmanager_secret",
		gone); problem != "" {
		t.Fatal(problem)
	}
	a.refused("aws_secretsmanager_secret", attrs{"name": "kept"}, "scheduled for deletion")
	a.create("aws_secretsmanager_secret", attrs{"name": "gone"})
}

func TestWriteOnlySecretsStayOutOfTheState(t *testing.T) {
	w := newWorld(t)
	a := w.in(stream)
	secret := a.create("aws_secretsmanager_secret", attrs{"name": "user"})
	version := a.create("aws_secretsmanager_secret_version", attrs{"secret_id": secret["id"],
		"secret_string_wo": "marker-secret", "secret_string_wo_version": 1.0})
	if strings.Contains(fmt.Sprint(version), "marker-secret") || version["has_secret_string_wo"] != true {
		t.Fatalf("got %v", version)
	}
	read, problem := a.data("aws_secretsmanager_secret_version", attrs{"secret_id": secret["id"]})
	if problem != "" || read["secret_string"] != "marker-secret" {
		t.Fatalf("%s %v", problem, read)
	}
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},
	"Action":"sts:AssumeRole"}]}`

func (a *account) function(t *testing.T, policy string) attrs {
	t.Helper()
	file := filepath.Join(t.TempDir(), "function.zip")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(out)
	header := &zip.FileHeader{Name: "bootstrap"}
	header.SetMode(0o755)
	if _, err := z.CreateHeader(header); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	role := a.create("aws_iam_role", attrs{"name": "function", "assume_role_policy": fmt.Sprintf(trust,
		"lambda.amazonaws.com")})
	if policy != "" {
		a.create("aws_iam_role_policy", attrs{"role": role["name"], "name": "all", "policy": policy})
	}
	return attrs{"function_name": "f", "role": role["arn"], "runtime": "provided.al2023", "handler": "bootstrap",
		"filename": file}
}

func identity(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["` + strings.Join(actions,
		`","`) + `"]}]}`
}

var interfaces = []string{"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
	"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"}

func TestAFunctionInAVPCNeedsItsPoliciesFirst(t *testing.T) {
	a := newWorld(t).in(analytics)
	vpc, subnets := a.network("10.0")
	config := a.function(t, "")
	config["vpc_config"] = []any{attrs{"subnet_ids": subnets, "security_group_ids": []any{a.group(vpc)}}}
	a.refused("aws_lambda_function", config, "call it on EC2")
	a.create("aws_iam_role_policy", attrs{"role": "function", "name": "eni", "policy": identity(interfaces...)})
	a.create("aws_lambda_function", config)
}

func TestFunctionsThatLambdaRefuses(t *testing.T) {
	a := newWorld(t).in(analytics)
	config := a.function(t, "")
	with := func(name string, x any) attrs {
		c := copyOf(config)
		c[name] = x
		return c
	}
	a.refused("aws_lambda_function", with("filename", nil), "exactly one of filename")
	a.refused("aws_lambda_function", with("runtime", nil), "runtime is needed")
	a.refused("aws_lambda_function", with("filename", "/nonexistent.zip"), "could not unzip")
	a.refused("aws_lambda_function", with("environment", []any{attrs{"variables": attrs{"AWS_REGION": "x"}}}), "reserved")
	a.create("aws_lambda_function", config)
}

func TestMappingsThatLambdaRefusesAndWhatItDoesSilently(t *testing.T) {
	a := newWorld(t).in(analytics)
	vpc, subnets := a.network("10.0")
	f := a.create("aws_lambda_function", a.function(t, identity(append(interfaces, "sns:Publish")...)))
	topic := a.create("aws_sns_topic", attrs{"name": "failed"})
	base := func() attrs {
		return attrs{"function_name": f["arn"], "topics": []any{"telemetry"}, "starting_position": "TRIM_HORIZON",
			"self_managed_event_source": []any{attrs{"endpoints": attrs{"KAFKA_BOOTSTRAP_SERVERS": "b-1:9096"}}},
			"source_access_configuration": []any{attrs{"type": "VPC_SUBNET", "uri": "subnet:" + subnets[0].(string)},
				attrs{"type": "VPC_SECURITY_GROUP", "uri": "security_group:" + a.groupOnce(vpc)}}}
	}
	retries := base()
	retries["maximum_retry_attempts"] = 3.0
	a.refused("aws_lambda_event_source_mapping", retries, "needs provisioned mode")
	both := base()
	both["event_source_arn"] = "arn:aws:kafka:eu-central-1:222222222222:cluster/x/y"
	a.refused("aws_lambda_event_source_mapping", both, "exactly one of")
	if m := a.create("aws_lambda_event_source_mapping", base()); !strings.HasPrefix(m["last_processing_result"].(string),
		"PROBLEM") {
		t.Fatalf("on demand without a way to Lambda: got %v", m["last_processing_result"])
	}
	discard := base()
	discard["provisioned_poller_config"] = []any{attrs{"minimum_pollers": 1.0}}
	discard["destination_config"] = []any{attrs{"on_failure": []any{attrs{"destination_arn": topic["arn"]}}}}
	discard["maximum_retry_attempts"] = -1.0
	if m := a.create("aws_lambda_event_source_mapping", discard); m["maximum_retry_attempts"] != 10.0 {
		t.Fatalf("got %v", m["maximum_retry_attempts"])
	}
}

func (a *account) groupOnce(vpc attrs) string {
	a.t.Helper()
	return a.create("aws_security_group", attrs{"name_prefix": "m-", "vpc_id": vpc["id"]})["id"].(string)
}

func TestTableKeysMustBeDeclaredAndNothingElse(t *testing.T) {
	a := newWorld(t).in(analytics)
	table := func(names ...string) attrs {
		declared := []any{}
		for _, n := range names {
			declared = append(declared, attrs{"name": n, "type": "S"})
		}
		return attrs{"name": "table", "hash_key": "h", "range_key": "r", "attribute": declared}
	}
	a.refused("aws_dynamodb_table", table("h"), "unmatched: r")
	a.refused("aws_dynamodb_table", table("h", "r", "x"), "unused attributes: x")
	a.create("aws_dynamodb_table", table("h", "r"))
}

func TestManagedConnectionNeedsTheClustersPolicy(t *testing.T) {
	w := newWorld(t)
	s, c := w.in(stream), w.in(analytics)
	vpc, subnets := s.network("10.0")
	config := cluster(subnets, s.group(vpc), 3)
	value.Block(config, "broker_node_group_info")["connectivity_info"] = []any{attrs{"vpc_connectivity": []any{
		attrs{"client_authentication": []any{attrs{"sasl": []any{attrs{"iam": true}}}}}}}}
	k := s.create("aws_msk_cluster", config)
	for _, server := range strings.Split(k["bootstrap_brokers_vpc_connectivity_sasl_iam"].(string), ",") {
		if found, err := regexp.MatchString(`^b-([123])\.iam\.[a-z0-9.-]+:1400([123])$`, server); err != nil || !found {
			t.Fatalf("a broker has a name and a port of its own, not %q (%v)", server, err)
		}
	}
	near, nearSubnets := c.network("10.1")
	connection := attrs{"authentication": "SASL_IAM", "target_cluster_arn": k["arn"], "vpc_id": near["id"],
		"client_subnets": nearSubnets, "security_groups": []any{c.group(near)}}
	c.refused("aws_msk_vpc_connection", connection, "no resource-based policy")
	s.create("aws_msk_cluster_policy", attrs{"cluster_arn": k["arn"], "policy": fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},
		"Action":["kafka:CreateVpcConnection","kafka:GetBootstrapBrokers","kafka:DescribeCluster*"],"Resource":"%v"}]}`,
		analytics, k["arn"])})
	twoZones := copyOf(connection)
	twoZones["client_subnets"] = nearSubnets[:2]
	c.refused("aws_msk_vpc_connection", twoZones, "where no client subnet is")
	if got := c.create("aws_msk_vpc_connection", connection); !strings.Contains(got["arn"].(string),
		":vpc-connection/"+stream) {
		t.Fatalf("got %v", got["arn"])
	}
	scram := copyOf(connection)
	scram["authentication"] = "SASL_SCRAM"
	c.refused("aws_msk_vpc_connection", scram, "does not offer multi-VPC connectivity with SASL_SCRAM")
}

func TestScramSecretsThatMSKRefuses(t *testing.T) {
	a := newWorld(t).in(stream)
	vpc, subnets := a.network("10.0")
	k := a.create("aws_msk_cluster", cluster(subnets, a.group(vpc), 3))
	key := a.create("aws_kms_key", attrs{})["arn"]
	associate := func(secret attrs) attrs {
		return attrs{"cluster_arn": k["arn"], "secret_arn_list": []any{secret["arn"]}}
	}
	badName := a.create("aws_secretsmanager_secret", attrs{"name": "user", "kms_key_id": key})
	a.refused("aws_msk_scram_secret_association", associate(badName), "does not begin with AmazonMSK_")
	noKey := a.create("aws_secretsmanager_secret", attrs{"name": "AmazonMSK_a"})
	a.refused("aws_msk_scram_secret_association", associate(noKey), "customer managed key")
	good := a.create("aws_secretsmanager_secret", attrs{"name": "AmazonMSK_b", "kms_key_id": key})
	a.refused("aws_msk_scram_secret_association", associate(good), "does not hold a username")
	a.create("aws_secretsmanager_secret_version", attrs{"secret_id": good["id"],
		"secret_string": `{"username":"u","password":"p"}`})
	a.create("aws_msk_scram_secret_association", associate(good))
}

func TestOnePrivateZonePerNameAndVPC(t *testing.T) {
	a := newWorld(t).in(analytics)
	vpc, _ := a.network("10.0")
	zone := attrs{"name": "b-1.events.example.com", "vpc": []any{attrs{"vpc_id": vpc["id"]}}}
	z := a.create("aws_route53_zone", zone)
	a.refused("aws_route53_zone", zone, "ConflictingDomainExists")
	commented := copyOf(zone)
	commented["comment"] = "changed"
	if _, problem := a.try("aws_route53_zone", commented, z); problem != "" {
		t.Fatalf("a zone must not collide with itself: %s", problem)
	}
	a.refused("aws_route53_record", attrs{"zone_id": z["zone_id"], "name": "b-1.events.example.com", "type": "A",
		"alias": []any{attrs{
			"name": "vpce-1.example.com", "zone_id": "Z1", "evaluate_target_health": false}}}, "does not lie within")
}

func TestALogGroupsKeyMustLetTheServiceIn(t *testing.T) {
	a := newWorld(t).in(analytics)
	closed := a.create("aws_kms_key", attrs{})["arn"]
	a.refused("aws_cloudwatch_log_group", attrs{"name": "/x", "kms_key_id": closed}, "not allowed to be used")
	open := a.create("aws_kms_key", attrs{"policy": fmt.Sprintf(keyPolicy, analytics, `,{"Effect":"Allow","Principal":
		{"Service":"logs.eu-central-1.amazonaws.com"},"Action":"kms:*","Resource":"*"}`)})["arn"]
	a.create("aws_cloudwatch_log_group", attrs{"name": "/x", "kms_key_id": open})
}
