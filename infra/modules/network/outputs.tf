# SPDX-License-Identifier: Apache-2.0

output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "private_subnets" {
  description = "Private subnets by name: id, cidr_block, availability_zone, zone_id (the id that all accounts share)."
  value = {
    for name, subnet in aws_subnet.private : name => {
      id                = subnet.id
      cidr_block        = var.private_subnets[name].cidr_block
      availability_zone = var.private_subnets[name].availability_zone
      zone_id           = lookup(local.zone_ids, var.private_subnets[name].availability_zone, null)
    }
  }
}

output "private_subnet_ids" {
  description = "Ids of the private subnets, once the endpoints in them and the ways to these are there: for whatever calls at once."
  value       = [for subnet in aws_subnet.private : subnet.id]

  depends_on = [
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_egress_rule.interface_endpoints,
    aws_vpc_security_group_ingress_rule.interface_endpoints,
  ]
}

output "public_subnet_ids" {
  description = "Ids of the public subnets by name."
  value       = { for name, subnet in aws_subnet.public : name => subnet.id }
}

output "prefix_list_ids" {
  description = "Address lists of the services behind gateway endpoints (dynamodb, s3), for egress rules."
  value       = { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.prefix_list_id }
}

output "interface_endpoints_security_group_id" {
  description = "Security group of the interface endpoints, for egress rules; null where there are none."
  value       = one(aws_security_group.interface_endpoints[*].id)
}
