// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// Versions that Amazon MSK offers for new clusters.
var kafkaVersions = []string{"3.6.0", "3.7.x", "3.7.x.kraft", "3.8.x", "3.8.x.kraft", "3.9.x", "3.9.x.kraft",
	"4.0.x.kraft", "4.1.x.kraft"}

// Ports of a broker's listeners: inside the VPC, and through managed multi-VPC connections, where each broker has the
// port of its id above portVPC, and a name of its own for each way to log in.
const (
	portTLS, portSCRAM, portIAM = 9094, 9096, 9098
	portVPC                     = 14000
)

func createCluster(o *Operation) error {
	group := value.Block(o.Attrs, "broker_node_group_info")
	subnets, err := o.subnetsOf(value.Texts(group, "client_subnets"))
	if err != nil {
		return fmt.Errorf("BadRequestException: %w", err)
	}
	count := int(value.Number(o.Attrs, "number_of_broker_nodes"))
	if len(subnets) < 2 || len(subnets) > 3 {
		return fmt.Errorf("BadRequestException: specify two or three client subnets, each in another zone, not %d",
			len(subnets))
	}
	if count < 1 || count%len(subnets) != 0 {
		return fmt.Errorf("BadRequestException: the number of broker nodes (%d) must be a multiple of the number of client "+
			"subnets (%d)", count, len(subnets))
	}
	if err := checkCluster(o); err != nil {
		return err
	}
	if err := o.addBrokers(subnets, 1, count); err != nil {
		return err
	}
	o.setBootstrap(len(subnets))
	return nil
}

func checkCluster(o *Operation) error {
	if v := o.text("kafka_version"); !slices.Contains(kafkaVersions, v) {
		return fmt.Errorf("BadRequestException: unsupported KafkaVersion [%s]; valid values: %s", v,
			strings.Join(kafkaVersions, ", "))
	}
	authentication := value.Block(o.Attrs, "client_authentication")
	sasl := value.Block(authentication, "sasl")
	inside := map[string]bool{"iam": value.True(sasl, "iam"), "scram": value.True(sasl, "scram")}
	across := value.Block(o.Attrs, "broker_node_group_info.connectivity_info.vpc_connectivity.client_authentication.sasl")
	group := value.Block(o.Attrs, "broker_node_group_info")
	for _, scheme := range []string{"iam", "scram"} {
		if !value.True(across, scheme) {
			continue
		}
		if !inside[scheme] {
			return fmt.Errorf("BadRequestException: multi-VPC connectivity with %s needs the cluster to authenticate by it",
				scheme)
		}
		if value.Text(group, "instance_type") == "kafka.t3.small" {
			return fmt.Errorf("BadRequestException: multi-VPC connectivity is not available for kafka.t3.small")
		}
		if value.True(authentication, "unauthenticated") {
			return fmt.Errorf("BadRequestException: multi-VPC connectivity does not go with unauthenticated access")
		}
	}
	return nil
}

// addBrokers spreads brokers over the zones.  Which zone broker 1 gets is not the caller's to choose, so nothing may
// depend on positions: here the wheel is turned by the cluster's name.
func (o *Operation) addBrokers(subnets []*cloud.Record, first, last int) error {
	turn := len(o.text("cluster_name")) % len(subnets)
	brokers, _ := o.Record.Hidden["brokers"].([]any)
	for id := first; id <= last; id++ {
		subnet := subnets[(id+turn)%len(subnets)]
		eni, err := o.addInterface(subnet, o.text("arn"), fmt.Sprintf("Amazon MSK broker %d", id))
		if err != nil {
			return err
		}
		brokers = append(brokers, attrs{"broker_id": float64(id), "subnet_id": subnet.ID,
			"address": eni.Text("private_ip"), "attached_eni_id": eni.ID, "endpoint": o.brokerName(id),
			"zone_id": subnet.Text("availability_zone_id")})
	}
	o.Record.Hidden["brokers"] = brokers
	return nil
}

func (o *Operation) brokerName(id int) string {
	uuid := o.text("cluster_uuid")
	return fmt.Sprintf("b-%d.%s.%s.c%c.kafka.%s.amazonaws.com", id, strings.ToLower(o.text("cluster_name")),
		strings.ReplaceAll(uuid, "-", "")[:6], '1'+uuid[7]%9, o.region())
}

// setBootstrap lists one broker per zone, in no useful order: that is how the service answers.
func (o *Operation) setBootstrap(zones int) {
	brokers, _ := o.Record.Hidden["brokers"].([]any)
	perZone := map[string]int{}
	for _, b := range brokers {
		perZone[value.Text(b.(attrs), "zone_id")] = int(value.Number(b.(attrs), "broker_id"))
	}
	var ids []int
	for _, id := range perZone {
		ids = append(ids, id)
	}
	sort.Sort(sort.Reverse(sort.IntSlice(ids)))
	join := func(on bool, server func(id int) string) string {
		if !on {
			return ""
		}
		var servers []string
		for _, id := range ids {
			servers = append(servers, server(id))
		}
		return strings.Join(servers, ",")
	}
	list := func(on bool, port int) string {
		return join(on, func(id int) string { return fmt.Sprintf("%s:%d", o.brokerName(id), port) })
	}
	managed := func(on bool, scheme string) string {
		return join(on, func(id int) string {
			_, rest, _ := strings.Cut(o.brokerName(id), ".")
			return fmt.Sprintf("b-%d.%s.%s:%d", id, scheme, rest, portVPC+id)
		})
	}
	sasl := value.Block(o.Attrs, "client_authentication.sasl")
	across := value.Block(o.Attrs, "broker_node_group_info.connectivity_info.vpc_connectivity.client_authentication.sasl")
	encryption := value.Text(value.Block(o.Attrs, "encryption_info.encryption_in_transit"), "client_broker")
	mutual := value.IsSet(value.Block(o.Attrs, "client_authentication"), "tls")
	open := value.True(value.Block(o.Attrs, "client_authentication"), "unauthenticated")
	o.Attrs["bootstrap_brokers"] = list(open && encryption != "TLS", 9092)
	o.Attrs["bootstrap_brokers_tls"] = list((mutual || open) && encryption != "PLAINTEXT", portTLS)
	o.Attrs["bootstrap_brokers_sasl_scram"] = list(value.True(sasl, "scram"), portSCRAM)
	o.Attrs["bootstrap_brokers_sasl_iam"] = list(value.True(sasl, "iam"), portIAM)
	o.Attrs["bootstrap_brokers_vpc_connectivity_sasl_scram"] = managed(value.True(across, "scram"), "scram")
	o.Attrs["bootstrap_brokers_vpc_connectivity_sasl_iam"] = managed(value.True(across, "iam"), "iam")
}

func updateCluster(o *Operation) error {
	if err := checkCluster(o); err != nil {
		return err
	}
	brokers, _ := o.Record.Hidden["brokers"].([]any)
	subnets, err := o.subnetsOf(value.Texts(value.Block(o.Attrs, "broker_node_group_info"), "client_subnets"))
	if err != nil {
		return err
	}
	want := int(value.Number(o.Attrs, "number_of_broker_nodes"))
	if want < len(brokers) {
		return fmt.Errorf("BadRequestException: the number of broker nodes cannot be lowered from %d to %d here",
			len(brokers), want)
	}
	if want%len(subnets) != 0 {
		return fmt.Errorf("BadRequestException: the number of broker nodes (%d) must be a multiple of the number of client "+
			"subnets (%d)", want, len(subnets))
	}
	if err := o.addBrokers(subnets, len(brokers)+1, want); err != nil {
		return err
	}
	o.setBootstrap(len(subnets))
	return nil
}

func deleteCluster(o *Operation) error {
	o.removeInterfaces(o.text("arn"))
	return nil
}

func updateConfiguration(o *Operation) error {
	o.Attrs["latest_revision"] = value.Number(o.Prior, "latest_revision") + 1
	return nil
}

func checkTopic(o *Operation) error {
	cluster := byAttribute(o.Account, "aws_msk_cluster", "arn", o.text("cluster_arn"))
	brokers, _ := cluster.Hidden["brokers"].([]any)
	if n := int(value.Number(o.Attrs, "replication_factor")); n > len(brokers) {
		return fmt.Errorf("BadRequestException: replication factor %d with %d brokers", n, len(brokers))
	}
	if before := value.Number(o.Prior, "partition_count"); value.Number(o.Attrs, "partition_count") < before {
		return fmt.Errorf("BadRequestException: the number of partitions cannot be lowered from %v", before)
	}
	return nil
}

func associateSecrets(o *Operation) error {
	cluster := byAttribute(o.Account, "aws_msk_cluster", "arn", o.text("cluster_arn"))
	if !value.True(value.Block(cluster.Attributes, "client_authentication.sasl"), "scram") {
		return fmt.Errorf("BadRequestException: SASL/SCRAM is not enabled on cluster %s", cluster.Text("cluster_name"))
	}
	for _, arn := range value.Texts(o.Attrs, "secret_arn_list") {
		secret := byAttribute(o.Account, "aws_secretsmanager_secret", "arn", arn)
		if err := scramSecretUsable(o.Account, secret); err != nil {
			return err
		}
	}
	return nil
}

// createVPCConnection is the managed way into another account's cluster.
func createVPCConnection(o *Operation) error {
	owner, cluster, err := findByARN(o.World, "aws_msk_cluster", o.text("target_cluster_arn"))
	if err != nil {
		return err
	}
	if cluster == nil {
		return fmt.Errorf("NotFoundException: cluster %s does not exist", o.text("target_cluster_arn"))
	}
	if owner.ID != o.Account.ID {
		policyText := ""
		if p := owner.Get("aws_msk_cluster_policy", cluster.Text("arn")); p != nil {
			policyText = p.Text("policy")
		}
		for _, action := range []string{"kafka:CreateVpcConnection", "kafka:GetBootstrapBrokers", "kafka:DescribeClusterV2"} {
			a := ask{account: o.Account, role: o.Who.Role, action: action, resource: cluster.Text("arn")}
			if err := require(a, owner.ID, policyText, false); err != nil {
				return err
			}
		}
	}
	scheme := strings.ToLower(strings.TrimPrefix(o.text("authentication"), "SASL_"))
	across := value.Block(cluster.Attributes,
		"broker_node_group_info.connectivity_info.vpc_connectivity.client_authentication.sasl")
	if !value.True(across, scheme) {
		return fmt.Errorf("BadRequestException: cluster %s does not offer multi-VPC connectivity with %s",
			cluster.Text("cluster_name"), o.text("authentication"))
	}
	subnets, err := o.subnetsOf(value.Texts(o.Attrs, "client_subnets"))
	if err != nil {
		return err
	}
	var clusterZones, covered []string
	brokers, _ := cluster.Hidden["brokers"].([]any)
	for _, b := range brokers {
		clusterZones = append(clusterZones, value.Text(b.(attrs), "zone_id"))
	}
	for _, s := range subnets {
		if !slices.Contains(clusterZones, s.Text("availability_zone_id")) {
			return fmt.Errorf("BadRequestException: subnet %s is in %s, where the cluster has no broker", s.ID,
				s.Text("availability_zone_id"))
		}
		covered = append(covered, s.Text("availability_zone_id"))
	}
	for _, zone := range clusterZones {
		if !slices.Contains(covered, zone) {
			return fmt.Errorf("BadRequestException: the cluster has brokers in %s, where no client subnet is", zone)
		}
	}
	hash := o.hashOf(cluster.ID, len(o.Account.OfType("aws_msk_vpc_connection")))
	o.Attrs["arn"] = fmt.Sprintf("arn:aws:kafka:%s:%s:vpc-connection/%s/%s/%s-%s-%s-%s-%s-1", o.region(), o.Account.ID,
		owner.ID, cluster.Text("cluster_name"), hash[:8], hash[8:12], hash[12:16], hash[16:20], hash[20:32])
	o.Attrs["id"] = o.Attrs["arn"]
	for _, s := range subnets {
		if _, err := o.addInterface(s, o.text("arn"), "Amazon MSK VPC connection"); err != nil {
			return err
		}
	}
	return nil
}

func deleteVPCConnection(o *Operation) error {
	o.removeInterfaces(o.text("arn"))
	return nil
}

// brokerNodes answers ListNodes: each broker's present address, in no useful order.
func brokerNodes(o *Operation) error {
	cluster := byAttribute(o.Account, "aws_msk_cluster", "arn", o.text("cluster_arn"))
	if cluster == nil {
		return fmt.Errorf("NotFoundException: cluster %s does not exist in account %s", o.text("cluster_arn"), o.Account.ID)
	}
	brokers, _ := cluster.Hidden["brokers"].([]any)
	nodes := []any{}
	for i := range brokers {
		b := brokers[len(brokers)-1-i].(attrs)
		id := value.Number(b, "broker_id")
		nodes = append(nodes, attrs{"broker_id": id, "client_subnet": b["subnet_id"], "client_vpc_ip_address": b["address"],
			"attached_eni_id": b["attached_eni_id"], "endpoints": []any{b["endpoint"]},
			"node_arn": fmt.Sprintf("%s/%v", strings.Replace(cluster.Text("arn"), ":cluster/", ":broker/", 1), id)})
	}
	o.Attrs["node_info_list"] = nodes
	return nil
}
