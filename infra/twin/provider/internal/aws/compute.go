// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"archive/zip"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"

	"culvert/infra/twin/provider/internal/catalog"
	"culvert/infra/twin/provider/internal/cloud"
	"culvert/infra/twin/provider/internal/value"
)

// What Lambda does with network interfaces, in the function's name; none of it can be limited to a resource.
var interfaceActions = []string{"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
	"ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"}

func validateFunction(config attrs) []catalog.Problem {
	var problems []catalog.Problem
	if value.Text(config, "package_type") != "Image" {
		for _, needed := range []string{"handler", "runtime"} {
			if !value.MayBeSet(config, needed) {
				problems = append(problems, catalog.Problem{Attribute: needed, Message: needed +
					" is needed when package_type is Zip"})
			}
		}
	}
	size := 0
	for _, environment := range value.Blocks(config, "environment") {
		variables, _ := environment["variables"].(attrs)
		for name, v := range variables {
			s, _ := v.(string)
			size += len(name) + len(s)
			if strings.HasPrefix(name, "AWS_") {
				problems = append(problems, catalog.Problem{Attribute: "environment",
					Message: "the environment variable " + name + " is reserved"})
			}
		}
	}
	if size > 4096 {
		problems = append(problems, catalog.Problem{Attribute: "environment",
			Message: fmt.Sprintf("environment variables take %d bytes, 4096 are allowed", size)})
	}
	return problems
}

func checkFunction(o *Operation) error {
	role := roleByARN(o.Account, o.text("role"))
	ok, err := trusts(role, "lambda.amazonaws.com", map[string]string{"aws:sourceaccount": o.Account.ID,
		"aws:sourcearn": o.text("arn")})
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("InvalidParameterValueException: the role defined for the function cannot be assumed by Lambda")
	}
	if value.IsSet(o.Attrs, "vpc_config") && len(value.At(o.Attrs, "vpc_config.subnet_ids")) > 0 {
		for _, action := range interfaceActions[:3] {
			if err := requireIdentity(o.Account, role.Text("name"), action, "*"); err != nil {
				return fmt.Errorf("InvalidParameterValueException: the provided execution role does not have permissions to "+
					"call it on EC2: %w", err)
			}
		}
	}
	return checkPackage(o.text("filename"), o.text("runtime"))
}

// checkPackage looks into the archive: a custom runtime starts the file `bootstrap` at its root.
func checkPackage(file, runtime string) error {
	if file == "" {
		return nil
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("InvalidParameterValueException: could not unzip uploaded file %s: %w", file, err)
	}
	defer func() { _ = archive.Close() }() // read only: nothing can be lost
	if !strings.HasPrefix(runtime, "provided") {
		return nil
	}
	for _, f := range archive.File {
		if f.Name == "bootstrap" {
			if f.Mode()&0o111 == 0 {
				return fmt.Errorf("Runtime.InvalidEntrypoint: bootstrap in %s is not executable", file)
			}
			return nil
		}
	}
	return fmt.Errorf("Runtime.InvalidEntrypoint: couldn't find valid bootstrap in %s", file)
}

func validateMapping(config attrs) []catalog.Problem {
	var problems []catalog.Problem
	add := func(attribute, message string) {
		problems = append(problems, catalog.Problem{Attribute: attribute, Message: message})
	}
	if topics, known := config["topics"].([]any); known && len(topics) != 1 {
		add("topics", fmt.Sprintf("a mapping reads exactly one topic, %d are given", len(topics)))
	}
	if value.Text(config, "starting_position") == "AT_TIMESTAMP" && config["starting_position_timestamp"] == nil {
		add("starting_position_timestamp", "starting_position AT_TIMESTAMP needs a starting_position_timestamp")
	}
	if !value.MayBeSet(config, "provisioned_poller_config") {
		for _, name := range []string{"maximum_retry_attempts", "maximum_record_age_in_seconds",
			"bisect_batch_on_function_error", "function_response_types"} {
			if value.IsSet(config, name) {
				add(name, name+" needs provisioned mode (provisioned_poller_config)")
			}
		}
	}
	if value.IsSet(config, "self_managed_event_source") && value.IsSet(config,
		"amazon_managed_kafka_event_source_config") {
		add("amazon_managed_kafka_event_source_config", "a self-managed source has self_managed_kafka_event_source_config")
	}
	if age, ok := config["maximum_record_age_in_seconds"].(float64); ok && age != -1 && age < 60 {
		add("maximum_record_age_in_seconds", "must be -1 or 60 to 604800")
	}
	for _, pollers := range value.Blocks(config, "provisioned_poller_config") {
		low, high := value.Number(pollers, "minimum_pollers"), value.Number(pollers, "maximum_pollers")
		if low > 0 && high > 0 && low > high {
			add("provisioned_poller_config", "minimum_pollers is above maximum_pollers")
		}
	}
	return problems
}

func checkMapping(o *Operation) error {
	function := byAttribute(o.Account, "aws_lambda_function", "arn", o.text("function_name"))
	if function == nil {
		function = byAttribute(o.Account, "aws_lambda_function", "function_name", o.text("function_name"))
	}
	role := roleByARN(o.Account, function.Text("role"))
	if role == nil {
		return fmt.Errorf("InvalidParameterValueException: the function's role %s does not exist", function.Text("role"))
	}
	o.Attrs["function_arn"] = function.Text("arn")
	o.Attrs["last_processing_result"] = "No records processed"
	if err := o.checkSource(role.Text("name")); err != nil {
		return err
	}
	if err := o.checkSourceAccess(role.Text("name")); err != nil {
		return err
	}
	return o.checkDestination(role.Text("name"))
}

func cannotPerform(err error) error {
	return fmt.Errorf("InvalidParameterValueException: ensure that the function's role can perform it: %w", err)
}

// checkSource: a managed source is asked for its brokers in the role's name.
func (o *Operation) checkSource(role string) error {
	arn := o.text("event_source_arn")
	if arn == "" {
		return nil
	}
	actions := []string{"kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"}
	if strings.Contains(arn, ":vpc-connection/") {
		if byAttribute(o.Account, "aws_msk_vpc_connection", "arn", arn) == nil {
			return fmt.Errorf("InvalidParameterValueException: VPC connection %s does not exist in account %s", arn,
				o.Account.ID)
		}
		if err := requireIdentity(o.Account, role, "kafka:DescribeVpcConnection", arn); err != nil {
			return cannotPerform(err)
		}
		connection := byAttribute(o.Account, "aws_msk_vpc_connection", "arn", arn)
		arn = connection.Text("target_cluster_arn")
	} else if byAttribute(o.Account, "aws_msk_cluster", "arn", arn) == nil {
		return fmt.Errorf("InvalidParameterValueException: cluster %s does not exist in account %s; another account's "+
			"cluster is reached through a VPC connection", arn, o.Account.ID)
	}
	for _, action := range actions {
		if err := requireIdentity(o.Account, role, action, arn); err != nil {
			return cannotPerform(err)
		}
	}
	return o.checkInterfaceActions(role)
}

func (o *Operation) checkInterfaceActions(role string) error {
	for _, action := range interfaceActions {
		if err := requireIdentity(o.Account, role, action, "*"); err != nil {
			return cannotPerform(err)
		}
	}
	return nil
}

// checkSourceAccess: subnets and groups must exist, secrets must be readable by the role.
func (o *Operation) checkSourceAccess(role string) error {
	var subnets []*cloud.Record
	for _, access := range value.Blocks(o.Attrs, "source_access_configuration") {
		kind, uri := value.Text(access, "type"), value.Text(access, "uri")
		switch kind {
		case "VPC_SUBNET":
			s := o.find("aws_subnet", strings.TrimPrefix(uri, "subnet:"))
			if s == nil || !strings.HasPrefix(uri, "subnet:") {
				return fmt.Errorf("InvalidParameterValueException: %q is not subnet:<id of a subnet of this account>", uri)
			}
			subnets = append(subnets, s)
		case "VPC_SECURITY_GROUP":
			if !strings.HasPrefix(uri, "security_group:") ||
				o.find("aws_security_group", strings.TrimPrefix(uri, "security_group:")) == nil {
				return fmt.Errorf("InvalidParameterValueException: %q is not security_group:<id of a group of this account>", uri)
			}
		case "SASL_SCRAM_512_AUTH", "SASL_SCRAM_256_AUTH", "BASIC_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH",
			"SERVER_ROOT_CA_CERTIFICATE":
			owner, secret, err := findByARN(o.World, "aws_secretsmanager_secret", uri)
			if err != nil {
				return err
			}
			if secret == nil {
				return fmt.Errorf("InvalidParameterValueException: secret %s does not exist", uri)
			}
			a := ask{account: o.Account, role: role, action: "secretsmanager:GetSecretValue", resource: uri}
			if err := mayReadSecret(a, owner, secret, o.region()); err != nil {
				return cannotPerform(err)
			}
		}
	}
	if len(subnets) == 0 {
		return nil
	}
	if !value.IsSet(o.Attrs, "provisioned_poller_config") {
		o.checkOnDemandPath(subnets)
	}
	return o.checkInterfaceActions(role)
}

// checkOnDemandPath: an on-demand mapping calls Lambda, STS and Secrets Manager from the subnets.  Without a way out
// it does not fail: it says so in its last result and reads nothing.
func (o *Operation) checkOnDemandPath(subnets []*cloud.Record) {
	for _, service := range []string{"lambda", "sts", "secretsmanager"} {
		reached := false
		for _, e := range o.Account.OfType("aws_vpc_endpoint") {
			reached = reached || e.Text("vpc_id") == subnets[0].Text("vpc_id") &&
				e.Text("service_name") == "com.amazonaws."+o.region()+"."+service
		}
		if !reached && !o.routedOut(subnets[0].ID) {
			o.Attrs["last_processing_result"] = "PROBLEM: Connection error. Your VPC must be able to connect to Lambda and " +
				"STS, as well as Secrets Manager if event source authentication is required (no way to " + service + ")"
		}
	}
}

func (o *Operation) routedOut(subnet string) bool {
	for _, association := range o.Account.OfType("aws_route_table_association") {
		if association.Text("subnet_id") != subnet {
			continue
		}
		for _, route := range o.Account.OfType("aws_route") {
			if route.Text("route_table_id") == association.Text("route_table_id") && route.Text("nat_gateway_id") != "" {
				return true
			}
		}
	}
	return false
}

// checkDestination: with an on-failure destination, "for ever" silently becomes ten attempts.
func (o *Operation) checkDestination(role string) error {
	destination := value.Text(value.Block(o.Attrs, "destination_config.on_failure"), "destination_arn")
	if destination == "" {
		return nil
	}
	service := strings.Split(destination, ":")[2]
	action := map[string]string{"sqs": "sqs:SendMessage", "sns": "sns:Publish", "s3": "s3:PutObject"}[service]
	if action == "" {
		return fmt.Errorf("InvalidParameterValueException: %s is not a destination for failed batches", destination)
	}
	resource := destination
	if service == "s3" {
		resource += "/aws/lambda"
	}
	if err := requireIdentity(o.Account, role, action, resource); err != nil {
		return cannotPerform(err)
	}
	if value.IsSet(o.Attrs, "provisioned_poller_config") && value.Number(o.Attrs, "maximum_retry_attempts") == -1 {
		o.Attrs["maximum_retry_attempts"] = 10.0
	}
	return nil
}

func checkSchedule(o *Operation) error {
	target := value.Block(o.Attrs, "target")
	role := roleByARN(o.Account, value.Text(target, "role_arn"))
	ok, err := trusts(role, "scheduler.amazonaws.com", map[string]string{"aws:sourceaccount": o.Account.ID})
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("ValidationException: the execution role you provide must allow AWS EventBridge Scheduler " +
			"to assume it")
	}
	return requireIdentity(o.Account, role.Text("name"), "lambda:InvokeFunction", value.Text(target, "arn"))
}

func validateTemplate(config attrs) []catalog.Problem {
	data, err := base64.StdEncoding.DecodeString(value.Text(config, "user_data"))
	if err == nil && len(data) > 16384 {
		return []catalog.Problem{{Attribute: "user_data",
			Message: fmt.Sprintf("user data has %d bytes, 16384 are allowed", len(data))}}
	}
	return nil
}

func updateTemplate(o *Operation) error {
	latest := value.Number(o.Prior, "latest_version") + 1
	o.Attrs["latest_version"], o.Attrs["default_version"] = latest, value.Number(o.Prior, "default_version")
	if value.True(o.Attrs, "update_default_version") {
		o.Attrs["default_version"] = latest
	}
	return nil
}

func validateTable(config attrs) []catalog.Problem {
	keys := []string{value.Text(config, "hash_key")}
	if r := value.Text(config, "range_key"); r != "" {
		keys = append(keys, r)
	}
	for _, index := range append(value.Blocks(config, "global_secondary_index"), value.Blocks(config,
		"local_secondary_index")...) {
		for _, name := range []string{"hash_key", "range_key"} {
			if k := value.Text(index, name); k != "" {
				keys = append(keys, k)
			}
		}
	}
	if !value.WhollyKnown(config["attribute"]) || value.IsUnknown(config["hash_key"]) ||
		value.IsUnknown(config["range_key"]) {
		return nil
	}
	var problems []catalog.Problem
	declared := map[string]bool{}
	for _, a := range value.Blocks(config, "attribute") {
		name := value.Text(a, "name")
		declared[name] = true
		if !slices.Contains(keys, name) {
			problems = append(problems, catalog.Problem{Attribute: "attribute",
				Message: "all attributes must be indexed; unused attributes: " + name})
		}
	}
	for _, k := range keys {
		if k != "" && !declared[k] {
			problems = append(problems, catalog.Problem{Attribute: "attribute",
				Message: "all indexes must match a defined attribute; unmatched: " + k})
		}
	}
	return problems
}

func checkObject(o *Operation) error {
	if source := o.text("source"); source != "" {
		if _, err := os.Stat(source); err != nil {
			return fmt.Errorf("reading S3 object source: %w", err)
		}
	}
	return nil
}

// machineImage answers with the filter's own words: which image it is matters to nobody here.
func machineImage(o *Operation) error {
	filters := map[string]string{}
	for _, f := range value.Blocks(o.Config, "filter") {
		if values := value.Texts(f, "values"); len(values) > 0 {
			filters[value.Text(f, "name")] = values[0]
		}
	}
	o.Attrs["architecture"] = "x86_64"
	if a := filters["architecture"]; a != "" {
		o.Attrs["architecture"] = a
	}
	o.Attrs["name"] = strings.ReplaceAll(filters["name"], "*", "20260101-0000")
	o.Attrs["creation_date"] = "2026-01-01T00:00:00.000Z"
	if owners := value.Texts(o.Config, "owners"); len(owners) > 0 {
		o.Attrs["owner_id"] = owners[0]
	}
	return nil
}
