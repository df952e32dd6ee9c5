// SPDX-License-Identifier: Apache-2.0

package aws

// kinds are the types of which more is known than the overlay can say.
var kinds = map[string]Kind{
	"data.aws_availability_zones":  {Data: availabilityZones},
	"data.aws_iam_policy_document": {Data: policyDocument},
	"data.aws_ami":                 {Data: machineImage},

	"aws_subnet":                          {Create: createSubnet},
	"aws_default_security_group":          {Create: createDefaultSecurityGroup},
	"aws_vpc_security_group_ingress_rule": {Validate: validateRule, Create: checkRule, Update: checkRule},
	"aws_vpc_security_group_egress_rule":  {Validate: validateRule, Create: checkRule, Update: checkRule},
	"aws_lb": {Create: createLoadBalancer, Delete: deleteLoadBalancer,
		Replace: replaceLoadBalancer},
	"aws_lb_listener":                {Create: createListener, Update: createListener},
	"aws_lb_target_group_attachment": {Create: createAttachment},
	"aws_route53_zone":               {Create: createZone, Update: createZone},
	"aws_route53_record":             {Create: createDNSRecord, Update: createDNSRecord},

	"aws_vpc_endpoint": {Create: createEndpoint, Update: updateEndpoint, Delete: deleteEndpoint},
	"aws_vpc_endpoint_service": {Create: createEndpointService, Update: createEndpointService,
		Read: readEndpointService, Delete: deleteEndpointService},
	"aws_vpc_endpoint_connection_accepter": {Create: createAccepter, Read: readAccepter, Delete: deleteAccepter},
	"data.aws_vpc_endpoint_service":        {Data: endpointServiceData},

	"aws_kms_key":                                  {Create: checkKeyPolicy, Update: checkKeyPolicy},
	"aws_kms_alias":                                {Create: createAlias, Update: createAlias},
	"aws_secretsmanager_secret":                    {Delete: deleteSecret},
	"aws_secretsmanager_secret_version":            {Create: createSecretVersion, Update: createSecretVersion},
	"data.aws_secretsmanager_secret_version":       {Data: readSecret},
	"ephemeral.aws_secretsmanager_secret_version":  {Data: readSecret},
	"ephemeral.aws_secretsmanager_random_password": {Data: randomPassword},

	"aws_msk_cluster":                  {Create: createCluster, Update: updateCluster, Delete: deleteCluster},
	"aws_msk_configuration":            {Update: updateConfiguration},
	"aws_msk_scram_secret_association": {Create: associateSecrets, Update: associateSecrets},
	"aws_msk_vpc_connection":           {Create: createVPCConnection, Delete: deleteVPCConnection},
	"aws_msk_topic":                    {Create: checkTopic, Update: checkTopic},
	"data.aws_msk_broker_nodes":        {Data: brokerNodes},

	"aws_lambda_function":             {Validate: validateFunction, Create: checkFunction, Update: checkFunction},
	"aws_lambda_event_source_mapping": {Validate: validateMapping, Create: checkMapping, Update: checkMapping},
	"aws_scheduler_schedule":          {Create: checkSchedule, Update: checkSchedule},
	"aws_launch_template":             {Validate: validateTemplate, Update: updateTemplate},
	"aws_dynamodb_table":              {Validate: validateTable},
	"aws_s3_object":                   {Create: checkObject, Update: checkObject},
	"aws_cloudwatch_log_group":        {Create: logGroupKey, Update: logGroupKey},
}
