// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// zoneLetters are the zones of a region as an account sees them; regions that are not listed have three.
var zoneLetters = map[string]string{"us-east-1": "abcdef", "us-west-2": "abcd", "ap-northeast-1": "acd"}

// shortRegion is the prefix of zone ids.
var shortRegion = map[string]string{"eu-central-1": "euc1", "eu-west-1": "euw1", "us-east-1": "use1",
	"us-west-2": "usw2", "ap-northeast-1": "apne1"}

// zones maps the names that an account uses to the ids that all accounts share.  The same name is another zone in
// another account, as it is in AWS: the account's last digit turns the wheel.
func zones(account, region string) (names []string, idOf map[string]string) {
	letters := zoneLetters[region]
	if letters == "" {
		letters = "abc"
	}
	short := shortRegion[region]
	if short == "" {
		short = strings.ReplaceAll(region, "-", "")
	}
	turn := int(account[len(account)-1] - '0')
	idOf = map[string]string{}
	for i, letter := range letters {
		name := region + string(letter)
		names = append(names, name)
		idOf[name] = fmt.Sprintf("%s-az%d", short, (i+turn)%len(letters)+1)
	}
	return names, idOf
}

func availabilityZones(o *Operation) error {
	names, idOf := zones(o.Account.ID, o.region())
	var all, ids []any
	for _, n := range names {
		if slices.Contains(value.Texts(o.Config, "exclude_names"), n) ||
			slices.Contains(value.Texts(o.Config, "exclude_zone_ids"), idOf[n]) {
			continue
		}
		all, ids = append(all, n), append(ids, idOf[n])
	}
	o.Attrs["names"], o.Attrs["zone_ids"] = all, ids
	return nil
}

func createSubnet(o *Operation) error {
	vpc := o.find("aws_vpc", o.text("vpc_id"))
	block, err := netip.ParsePrefix(o.text("cidr_block"))
	if err != nil {
		return fmt.Errorf("InvalidParameterValue: cidr_block: %w", err)
	}
	whole, err := netip.ParsePrefix(vpc.Text("cidr_block"))
	if err != nil {
		return fmt.Errorf("InvalidParameterValue: the VPC's cidr_block: %w", err)
	}
	if block.Bits() < whole.Bits() || !whole.Contains(block.Addr()) || block.Bits() > 28 {
		return fmt.Errorf("InvalidSubnet.Range: the CIDR %s is not a subnet of %s", block, whole)
	}
	for _, other := range o.Account.OfType("aws_subnet") {
		p, err := netip.ParsePrefix(other.Text("cidr_block"))
		if err == nil && other.Text("vpc_id") == o.text("vpc_id") && p.Overlaps(block) {
			return fmt.Errorf("InvalidSubnet.Conflict: the CIDR %s conflicts with subnet %s (%s)", block, other.ID, p)
		}
	}
	names, idOf := zones(o.Account.ID, o.region())
	zone := o.text("availability_zone")
	for _, n := range names {
		if zone == "" && (o.text("availability_zone_id") == idOf[n] || o.text("availability_zone_id") == "") {
			zone = n
		}
	}
	if idOf[zone] == "" {
		return fmt.Errorf("InvalidParameterValue: %q is not an availability zone of %s in account %s (it has %s)", zone,
			o.region(), o.Account.ID, strings.Join(names, ", "))
	}
	o.Attrs["availability_zone"], o.Attrs["availability_zone_id"] = zone, idOf[zone]
	return nil
}

func createDefaultSecurityGroup(o *Operation) error {
	o.Attrs["id"] = o.find("aws_vpc", o.text("vpc_id")).Text("default_security_group_id")
	o.Attrs["arn"] = fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", o.region(), o.Account.ID, o.text("id"))
	return nil
}

func validateRule(config attrs) []catalog.Problem {
	protocol, hasFrom, hasTo := value.Text(config, "ip_protocol"), config["from_port"] != nil, config["to_port"] != nil
	if protocol == "-1" && (hasFrom || hasTo) {
		return []catalog.Problem{{Attribute: "from_port", Message: "no ports may be given with ip_protocol -1"}}
	}
	if (protocol == "tcp" || protocol == "udp") && (!hasFrom || !hasTo) {
		return []catalog.Problem{{Attribute: "from_port", Message: "from_port and to_port are needed with " + protocol}}
	}
	from, fromKnown := config["from_port"].(float64)
	to, toKnown := config["to_port"].(float64)
	if fromKnown && toKnown && from > to {
		return []catalog.Problem{{Attribute: "from_port", Message: fmt.Sprintf("from_port %v is above to_port %v", from, to)}}
	}
	return nil
}

func checkRule(o *Operation) error {
	if id := o.text("prefix_list_id"); id != "" && !slices.Contains(prefixLists(o.region()), id) {
		return fmt.Errorf("InvalidPrefixListID.NotFound: %s", id)
	}
	group := o.find("aws_security_group", o.text("security_group_id"))
	other := o.find("aws_security_group", o.text("referenced_security_group_id"))
	if other != nil && other.Text("vpc_id") != group.Text("vpc_id") {
		return fmt.Errorf("InvalidGroup.NotFound: %s and %s are in different VPCs", group.ID, other.ID)
	}
	return nil
}

// subnetsOf returns the records of subnets, which must lie in one VPC and in distinct zones.
func (o *Operation) subnetsOf(ids []string) ([]*cloud.Record, error) {
	var result []*cloud.Record
	seen := map[string]string{}
	for _, id := range ids {
		s := o.find("aws_subnet", id)
		if s == nil {
			return nil, fmt.Errorf("InvalidSubnetID.NotFound: %s", id)
		}
		zone := s.Text("availability_zone_id")
		if before := seen[zone]; before != "" {
			return nil, fmt.Errorf("InvalidParameter: subnets %s and %s are in the same zone (%s)", before, id, zone)
		}
		seen[zone] = id
		if len(result) > 0 && result[0].Text("vpc_id") != s.Text("vpc_id") {
			return nil, fmt.Errorf("InvalidParameter: subnets %s and %s are in different VPCs", result[0].ID, id)
		}
		result = append(result, s)
	}
	slices.SortFunc(result, func(a, b *cloud.Record) int { return strings.Compare(a.ID, b.ID) })
	return result, nil
}

// addInterface puts a network interface with a free address into a subnet.  It is a record without a resource: what
// owns it removes it.
func (o *Operation) addInterface(subnet *cloud.Record, owner, description string) (*cloud.Record, error) {
	block, err := netip.ParsePrefix(subnet.Text("cidr_block"))
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, e := range o.Account.OfType("eni") {
		if e.Text("subnet_id") == subnet.ID {
			taken[e.Text("private_ip")] = true
		}
	}
	address := block.Addr()
	for range 10 { // AWS keeps the first four; the rest leaves room for what the twin runs itself
		address = address.Next()
	}
	for ; block.Contains(address); address = address.Next() {
		if !taken[address.String()] {
			break
		}
	}
	if !block.Contains(address.Next()) {
		return nil, fmt.Errorf("InsufficientFreeAddressesInSubnet: %s (%s)", subnet.ID, block)
	}
	hash := o.hashOf(subnet.ID+address.String()+owner, 0)
	eni := &cloud.Record{Type: "eni", ID: "eni-" + hash[:17], Region: o.region(), Attributes: attrs{
		"id": "eni-" + hash[:17], "subnet_id": subnet.ID, "vpc_id": subnet.Text("vpc_id"), "owner": owner,
		"private_ip": address.String(), "availability_zone_id": subnet.Text("availability_zone_id"),
		"description": description}}
	return eni, o.Account.Put(eni)
}

func (o *Operation) removeInterfaces(owner string) {
	for _, e := range o.Account.OfType("eni") {
		if e.Text("owner") == owner {
			o.Account.Remove("eni", e.ID)
		}
	}
}

func createLoadBalancer(o *Operation) error {
	if o.text("load_balancer_type") != "network" {
		return fmt.Errorf("ValidationError: only network load balancers are modelled, not %q", o.text("load_balancer_type"))
	}
	subnets, err := o.subnetsOf(value.Texts(o.Attrs, "subnets"))
	if err != nil {
		return err
	}
	if len(subnets) == 0 {
		return fmt.Errorf("ValidationError: a load balancer needs at least one subnet")
	}
	for _, id := range value.Texts(o.Attrs, "security_groups") {
		if o.find("aws_security_group", id).Text("vpc_id") != subnets[0].Text("vpc_id") {
			return fmt.Errorf("InvalidConfigurationRequest: security group %s is not in the load balancer's VPC", id)
		}
	}
	for _, s := range subnets {
		if _, err := o.addInterface(s, o.text("arn"), "ELB "+o.text("name")); err != nil {
			return err
		}
	}
	o.Attrs["vpc_id"] = subnets[0].Text("vpc_id")
	return nil
}

func deleteLoadBalancer(o *Operation) error {
	o.removeInterfaces(o.text("arn"))
	return nil
}

// replaceLoadBalancer: a load balancer made without security groups can never get any, nor lose them all.
func replaceLoadBalancer(prior, planned attrs) []string {
	if value.IsUnknown(planned["security_groups"]) ||
		value.IsSet(prior, "security_groups") == value.IsSet(planned, "security_groups") {
		return nil
	}
	return []string{"security_groups"}
}

func createListener(o *Operation) error {
	lb := byAttribute(o.Account, "aws_lb", "arn", o.text("load_balancer_arn"))
	for _, action := range value.Blocks(o.Attrs, "default_action") {
		group := byAttribute(o.Account, "aws_lb_target_group", "arn", value.Text(action, "target_group_arn"))
		if group == nil {
			return fmt.Errorf("TargetGroupNotFound: %q", value.Text(action, "target_group_arn"))
		}
		if group.Text("vpc_id") != lb.Text("vpc_id") {
			return fmt.Errorf("InvalidConfigurationRequest: target group %s is in another VPC than the load balancer", group.ID)
		}
		if group.Text("protocol") != o.text("protocol") {
			return fmt.Errorf("InvalidConfigurationRequest: a %s listener cannot forward to a %s target group",
				o.text("protocol"), group.Text("protocol"))
		}
	}
	if o.Attrs["tcp_idle_timeout_seconds"] == nil {
		o.Attrs["tcp_idle_timeout_seconds"] = 350.0
	}
	return nil
}

func createAttachment(o *Operation) error {
	group := byAttribute(o.Account, "aws_lb_target_group", "arn", o.text("target_group_arn"))
	if group.Text("target_type") != "ip" {
		return fmt.Errorf("ValidationError: only targets of type ip are modelled, not %q", group.Text("target_type"))
	}
	address, err := netip.ParseAddr(o.text("target_id"))
	if err != nil {
		return fmt.Errorf("ValidationError: target_id %q is not an IP address", o.text("target_id"))
	}
	block, err := netip.ParsePrefix(o.find("aws_vpc", group.Text("vpc_id")).Text("cidr_block"))
	if err != nil {
		return err
	}
	if !block.Contains(address) && o.text("availability_zone") != "all" {
		return fmt.Errorf("ValidationError: target %s is outside the VPC's %s; availability_zone must be \"all\" then",
			address, block)
	}
	return nil
}

func createZone(o *Operation) error {
	mine := value.At(o.Attrs, "vpc.vpc_id")
	for _, other := range o.Account.OfType("aws_route53_zone") {
		if other == o.Record || !strings.EqualFold(other.Text("name"), o.text("name")) {
			continue
		}
		for _, vpc := range value.At(other.Attributes, "vpc.vpc_id") {
			if slices.Contains(mine, vpc) {
				return fmt.Errorf("ConflictingDomainExists: VPC %v is associated with zone %s (%s) already", vpc,
					other.ID, other.Text("name"))
			}
		}
	}
	for _, id := range mine {
		vpc := o.find("aws_vpc", id.(string))
		if !value.True(vpc.Attributes, "enable_dns_support") || !value.True(vpc.Attributes, "enable_dns_hostnames") {
			return fmt.Errorf("InvalidVPCId: private zones do not work in VPC %s: enable_dns_support and "+
				"enable_dns_hostnames must both be on", id)
		}
	}
	return nil
}

func createDNSRecord(o *Operation) error {
	zone := o.find("aws_route53_zone", o.text("zone_id"))
	zoneName := strings.TrimSuffix(zone.Text("name"), ".")
	name := strings.TrimSuffix(o.text("name"), ".")
	if name != zoneName && !strings.HasSuffix(name, "."+zoneName) {
		name = strings.TrimPrefix(name+"."+zoneName, ".")
	}
	o.Attrs["fqdn"] = name
	for _, alias := range value.Blocks(o.Attrs, "alias") {
		if err := o.checkAlias(alias); err != nil {
			return err
		}
	}
	return nil
}

func (o *Operation) checkAlias(alias attrs) error {
	name, zoneID := value.Text(alias, "name"), value.Text(alias, "zone_id")
	for _, e := range o.Account.OfType("aws_vpc_endpoint") {
		for _, entry := range value.Blocks(e.Attributes, "dns_entry") {
			if value.Text(entry, "dns_name") == name && value.Text(entry, "hosted_zone_id") == zoneID {
				return nil
			}
		}
	}
	if lb := byAttribute(o.Account, "aws_lb", "dns_name", name); lb != nil && lb.Text("zone_id") == zoneID {
		return nil
	}
	return fmt.Errorf("InvalidChangeBatch: the alias target %q does not lie within the target zone %s", name, zoneID)
}
