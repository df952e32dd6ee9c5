// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// Private links: endpoint services in one account, endpoints in another.

var gatewayServices = []string{"s3", "dynamodb"}
var interfaceServices = []string{"ec2", "kms", "lambda", "logs", "monitoring", "secretsmanager", "sns", "sqs", "sts"}

// prefixListID is one list per service and region, the same for every account.
func prefixListID(region, service string) string {
	sum := sha256.Sum256([]byte(region + service))
	return "pl-" + hex.EncodeToString(sum[:])[:8]
}

func prefixLists(region string) []string {
	var result []string
	for _, s := range gatewayServices {
		result = append(result, prefixListID(region, s))
	}
	return result
}

func createEndpoint(o *Operation) error {
	name := o.text("service_name")
	if awsService, ok := strings.CutPrefix(name, "com.amazonaws."+o.region()+"."); ok {
		return createServiceEndpoint(o, awsService)
	}
	if o.text("vpc_endpoint_type") != "Interface" {
		return fmt.Errorf("InvalidParameter: endpoint type %s does not match service %s", o.text("vpc_endpoint_type"), name)
	}
	owner, service, err := findService(o, name)
	if err != nil {
		return err
	}
	offered := zoneIDsOf(owner, service)
	subnets, err := o.subnetsOf(value.Texts(o.Attrs, "subnet_ids"))
	if err != nil {
		return err
	}
	for _, s := range subnets {
		if zone := s.Text("availability_zone_id"); !slices.Contains(offered, zone) {
			return fmt.Errorf("InvalidParameter: the VPC endpoint service %s does not support the availability zone of "+
				"the subnet: %s is in %s, the service is in %s", name, s.ID, zone, strings.Join(offered, ", "))
		}
	}
	o.Attrs["state"] = "available"
	if value.True(service.Attributes, "acceptance_required") {
		o.Attrs["state"] = "pendingAcceptance"
	}
	return o.addEndpointInterfaces(subnets)
}

func createServiceEndpoint(o *Operation, service string) error {
	o.Attrs["state"] = "available"
	if o.text("vpc_endpoint_type") == "Gateway" {
		if !slices.Contains(gatewayServices, service) {
			return fmt.Errorf("InvalidParameter: endpoint type Gateway does not match service %s", service)
		}
		if value.IsSet(o.Attrs, "subnet_ids") || value.IsSet(o.Attrs, "security_group_ids") {
			return fmt.Errorf("InvalidParameter: a gateway endpoint has neither subnets nor security groups")
		}
		o.Attrs["prefix_list_id"] = prefixListID(o.region(), service)
		return nil
	}
	if !slices.Contains(interfaceServices, service) {
		return fmt.Errorf("InvalidServiceName: the VPC endpoint service com.amazonaws.%s.%s does not exist", o.region(),
			service)
	}
	if value.True(o.Attrs, "private_dns_enabled") {
		if err := o.checkPrivateDNS(); err != nil {
			return err
		}
	}
	subnets, err := o.subnetsOf(value.Texts(o.Attrs, "subnet_ids"))
	if err != nil {
		return err
	}
	return o.addEndpointInterfaces(subnets)
}

func (o *Operation) checkPrivateDNS() error {
	vpc := o.find("aws_vpc", o.text("vpc_id"))
	if !value.True(vpc.Attributes, "enable_dns_support") || !value.True(vpc.Attributes, "enable_dns_hostnames") {
		return fmt.Errorf("InvalidParameter: private DNS needs enable_dns_support and enable_dns_hostnames in VPC %s", vpc.ID)
	}
	for _, other := range o.Account.OfType("aws_vpc_endpoint") {
		if other.Text("vpc_id") == vpc.ID && other.Text("service_name") == o.text("service_name") &&
			value.True(other.Attributes, "private_dns_enabled") {
			return fmt.Errorf("InvalidParameter: private DNS cannot be set: %s has a conflicting domain", other.ID)
		}
	}
	return nil
}

func (o *Operation) addEndpointInterfaces(subnets []*cloud.Record) error {
	if len(subnets) == 0 {
		return fmt.Errorf("InvalidParameter: an interface endpoint needs at least one subnet")
	}
	if !value.IsSet(o.Attrs, "security_group_ids") {
		vpc := o.find("aws_vpc", o.text("vpc_id"))
		o.Attrs["security_group_ids"] = []any{vpc.Text("default_security_group_id")}
	}
	id := o.text("id")
	var interfaces []any
	for _, s := range subnets {
		if s.Text("vpc_id") != o.text("vpc_id") {
			return fmt.Errorf("InvalidParameter: subnet %s is not in VPC %s", s.ID, o.text("vpc_id"))
		}
		eni, err := o.addInterface(s, id, "VPC endpoint interface "+id)
		if err != nil {
			return err
		}
		interfaces = append(interfaces, eni.ID)
	}
	o.Attrs["network_interface_ids"] = interfaces
	name := fmt.Sprintf("%s-%s", id, o.hashOf(id, 0)[:8])
	service := o.text("service_name")
	suffix := service[strings.LastIndex(service, ".")+1:]
	entries := []any{attrs{"dns_name": fmt.Sprintf("%s.%s.%s.vpce.amazonaws.com", name, suffix, o.region()),
		"hosted_zone_id": "Z273ZU8SZ5RJPC"}}
	for _, s := range subnets {
		entries = append(entries, attrs{"dns_name": fmt.Sprintf("%s-%s.%s.%s.vpce.amazonaws.com", name,
			s.Text("availability_zone"), suffix, o.region()), "hosted_zone_id": "Z273ZU8SZ5RJPC"})
	}
	o.Attrs["dns_entry"] = entries
	return nil
}

func updateEndpoint(o *Operation) error {
	if o.text("vpc_endpoint_type") != "Interface" {
		return nil
	}
	o.removeInterfaces(o.Record.ID)
	subnets, err := o.subnetsOf(value.Texts(o.Attrs, "subnet_ids"))
	if err != nil {
		return err
	}
	return o.addEndpointInterfaces(subnets)
}

// deleteEndpoint: the connection goes with it, on the other side, too.
func deleteEndpoint(o *Operation) error {
	o.removeInterfaces(o.Record.ID)
	accounts, err := o.World.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		for _, accepter := range a.OfType("aws_vpc_endpoint_connection_accepter") {
			if accepter.Text("vpc_endpoint_id") == o.Record.ID {
				a.Remove(accepter.Type, accepter.ID)
			}
		}
	}
	return nil
}

// findService looks a service up as this caller sees it: services it is not allowed to use do not exist for it.
func findService(o *Operation, name string) (*cloud.Account, *cloud.Record, error) {
	accounts, err := o.World.Accounts()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range accounts {
		service := byAttribute(a, "aws_vpc_endpoint_service", "service_name", name)
		if service == nil || service.Region != o.region() {
			continue
		}
		if a.ID == o.Account.ID || principalAllowed(a, service, o.Who) {
			return a, service, nil
		}
		return nil, nil, fmt.Errorf("InvalidServiceName: the VPC endpoint service '%s' does not exist (for "+
			"arn:aws:iam::%s:role/%s: it is not among the service's allowed principals)", name, o.Account.ID, o.Who.Role)
	}
	return nil, nil, fmt.Errorf("InvalidServiceName: the VPC endpoint service '%s' does not exist", name)
}

func principalAllowed(owner *cloud.Account, service *cloud.Record, who Who) bool {
	for _, p := range allowedPrincipals(owner, service) {
		if p == "*" || p == fmt.Sprintf("arn:aws:iam::%s:root", who.Account) ||
			p == fmt.Sprintf("arn:aws:iam::%s:role/%s", who.Account, who.Role) {
			return true
		}
	}
	return false
}

func allowedPrincipals(owner *cloud.Account, service *cloud.Record) []string {
	result := value.Texts(service.Attributes, "allowed_principals")
	for _, p := range owner.OfType("aws_vpc_endpoint_service_allowed_principal") {
		if p.Text("vpc_endpoint_service_id") == service.ID {
			result = append(result, p.Text("principal_arn"))
		}
	}
	return result
}

// zoneIDsOf are the zones of the service's load balancers.
func zoneIDsOf(owner *cloud.Account, service *cloud.Record) []string {
	var result []string
	for _, arn := range value.Texts(service.Attributes, "network_load_balancer_arns") {
		lb := byAttribute(owner, "aws_lb", "arn", arn)
		if lb == nil {
			continue
		}
		for _, id := range value.Texts(lb.Attributes, "subnets") {
			if s := owner.Get("aws_subnet", id); s != nil && !slices.Contains(result, s.Text("availability_zone_id")) {
				result = append(result, s.Text("availability_zone_id"))
			}
		}
	}
	slices.Sort(result)
	return result
}

func zoneNames(account, region string, ids []string) []any {
	names, idOf := zones(account, region)
	result := []any{}
	for _, n := range names {
		if slices.Contains(ids, idOf[n]) {
			result = append(result, n)
		}
	}
	return result
}

func createEndpointService(o *Operation) error {
	o.Attrs["availability_zones"] = zoneNames(o.Account.ID, o.region(), zoneIDsOf(o.Account,
		&cloud.Record{Attributes: o.Attrs}))
	return nil
}

func readEndpointService(o *Operation) error {
	o.Attrs["availability_zones"] = zoneNames(o.Account.ID, o.Record.Region, zoneIDsOf(o.Account, o.Record))
	return nil
}

func deleteEndpointService(o *Operation) error {
	accounts, err := o.World.Accounts()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		for _, e := range a.OfType("aws_vpc_endpoint") {
			if e.Text("service_name") == o.text("service_name") && e.Text("state") != "rejected" {
				return fmt.Errorf("ExistingVpcEndpointConnections: %s has a connection (%s of account %s, %s): reject it or "+
					"delete it first", o.Record.ID, e.ID, a.ID, e.Text("state"))
			}
		}
	}
	return nil
}

// connection finds the endpoint of an accepter in whatever account it is.
func connection(o *Operation) (*cloud.Record, error) {
	service := o.find("aws_vpc_endpoint_service", o.text("vpc_endpoint_service_id"))
	accounts, err := o.World.Accounts()
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		e := a.Get("aws_vpc_endpoint", o.text("vpc_endpoint_id"))
		if e != nil && service != nil && e.Text("service_name") == service.Text("service_name") {
			return e, nil
		}
	}
	return nil, nil
}

func createAccepter(o *Operation) error {
	e, err := connection(o)
	if err != nil {
		return err
	}
	if e == nil {
		return fmt.Errorf("InvalidVpcEndpointId.NotFound: no endpoint %s is connected to service %s",
			o.text("vpc_endpoint_id"), o.text("vpc_endpoint_service_id"))
	}
	e.Attributes["state"] = "available"
	o.Attrs["vpc_endpoint_state"] = "available"
	return nil
}

func readAccepter(o *Operation) error {
	e, err := connection(o)
	if err != nil {
		return err
	}
	if e == nil {
		o.Attrs = nil // the endpoint is gone, and the connection with it
		return nil
	}
	o.Attrs["vpc_endpoint_state"] = e.Text("state")
	return nil
}

func deleteAccepter(o *Operation) error {
	e, err := connection(o)
	if e != nil {
		e.Attributes["state"] = "rejected"
	}
	return err
}

func endpointServiceData(o *Operation) error {
	name := o.text("service_name")
	if short := value.Text(o.Config, "service"); short != "" {
		name = "com.amazonaws." + o.region() + "." + short
		o.Attrs["service_name"] = name
	}
	if strings.HasPrefix(name, "com.amazonaws."+o.region()+".") {
		o.Attrs["id"], o.Attrs["acceptance_required"], o.Attrs["owner"] = name, false, "amazon"
		return nil
	}
	owner, service, err := findService(o, name)
	if err != nil {
		return err
	}
	o.Attrs["id"], o.Attrs["service_id"], o.Attrs["owner"] = service.ID, service.ID, owner.ID
	o.Attrs["arn"], o.Attrs["service_type"] = service.Text("arn"), "Interface"
	o.Attrs["acceptance_required"] = value.True(service.Attributes, "acceptance_required")
	o.Attrs["availability_zones"] = zoneNames(o.Account.ID, o.region(), zoneIDsOf(owner, service))
	return nil
}
