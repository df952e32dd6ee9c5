# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["222222222222"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = output.network.private_subnets["private_a"].zone_id != output.network.private_subnets["private_b"].zone_id
    error_message = "Subnets must tell the zone ids that all accounts share."
  }

  assert {
    condition     = output.network.interface_endpoints_security_group_id == null && length(output.network.prefix_list_ids) == 2
    error_message = "By default there are two gateway endpoints and no interface endpoints."
  }
}

run "nothing_leaves_by_default" {
  variables {
    name             = "plain"
    vpc_cidr_block   = "10.0.0.0/16"
    logs_kms_key_arn = run.example.logs_kms_key_arn
    private_subnets  = { a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" } }
    public_subnets   = { p = { cidr_block = "10.0.101.0/24", availability_zone = "eu-central-1a" } }
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0
    error_message = "A NAT gateway must be asked for."
  }

  assert {
    condition     = contains(aws_vpc_endpoint.gateway["dynamodb"].route_table_ids, aws_route_table.private.id)
    error_message = "The table's traffic must take the gateway endpoint."
  }

  assert {
    condition = alltrue([
      for endpoint in aws_vpc_endpoint.gateway : jsondecode(endpoint.policy).Statement[0].Condition.StringEquals ==
      { "aws:PrincipalAccount" = aws_vpc.this.owner_id, "aws:ResourceAccount" = aws_vpc.this.owner_id }
    ])
    error_message = "Gateway endpoints must lead to this account's own tables and buckets alone."
  }

  assert {
    condition     = aws_subnet.public["p"].map_public_ip_on_launch == false
    error_message = "Public subnets must not hand out public addresses."
  }

  assert {
    condition     = aws_default_security_group.closed.vpc_id == aws_vpc.this.id
    error_message = "The default security group must be taken over, which empties it."
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow.retention_in_days == 30 && aws_cloudwatch_log_group.flow.kms_key_id == var.logs_kms_key_arn
    error_message = "Flow logs must be kept 30 days and encrypted."
  }

  assert {
    condition     = aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames
    error_message = "Private zones need both DNS settings."
  }
}

run "a_nat_gateway_where_asked_for" {
  variables {
    name                      = "asked"
    vpc_cidr_block            = "10.0.0.0/16"
    logs_kms_key_arn          = run.example.logs_kms_key_arn
    private_subnets           = { a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" } }
    public_subnets            = { p = { cidr_block = "10.0.101.0/24", availability_zone = "eu-central-1a" } }
    nat_gateway_public_subnet = "p"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && aws_nat_gateway.this[0].subnet_id == aws_subnet.public["p"].id
    error_message = "The NAT gateway must be in the named subnet."
  }
}

run "endpoints_where_asked_for" {
  command = plan

  variables {
    name             = "asked"
    vpc_cidr_block   = "10.0.0.0/16"
    logs_kms_key_arn = run.example.logs_kms_key_arn
    private_subnets  = { a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" } }
    interface_endpoints = {
      for service, action in { lambda = "lambda:InvokeFunction", sts = "sts:AssumeRole" } : service => {
        policy                        = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = "*", Action = action, Resource = "arn:aws:x" }] })
      }
    }
    interface_endpoint_client_security_group_ids = { caller = "sg-0123456789abcdef0" }
  }

  assert {
    condition     = join(",", keys(aws_vpc_endpoint.interface)) == "lambda,sts" && alltrue([for e in aws_vpc_endpoint.interface : e.private_dns_enabled])
    error_message = "Interface endpoints must answer to the services' own names."
  }

  assert {
    condition = alltrue([for rules in [aws_vpc_security_group_ingress_rule.interface_endpoints, aws_vpc_security_group_egress_rule.interface_endpoints] :
      keys(rules) == ["caller"] && alltrue([for rule in rules : rule.from_port == 443 && rule.to_port == 443 && rule.cidr_ipv4 == null])
    ])
    error_message = "Endpoints must be open for HTTPS from the named groups alone."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["sts"].policy).Statement[0].Action == "sts:AssumeRole"
    error_message = "Each endpoint must have its policy."
  }
}

run "an_endpoint_for_everything_is_refused" {
  command = plan

  variables {
    name                = "open"
    vpc_cidr_block      = "10.0.0.0/16"
    logs_kms_key_arn    = run.example.logs_kms_key_arn
    private_subnets     = { a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" } }
    interface_endpoints = { sts = { policy = jsonencode({ Version = "2012-10-17", Statement = [] }) } }
  }

  expect_failures = [var.interface_endpoints]
}

run "two_subnets_in_one_zone_are_refused" {
  command = plan

  variables {
    name             = "zones"
    vpc_cidr_block   = "10.0.0.0/16"
    logs_kms_key_arn = run.example.logs_kms_key_arn
    private_subnets = {
      a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1a" }
      b = { cidr_block = "10.0.2.0/24", availability_zone = "eu-central-1a" }
    }
  }

  expect_failures = [var.private_subnets]
}

run "a_zone_that_is_not_there_is_refused" {
  command = plan

  variables {
    name             = "zones"
    vpc_cidr_block   = "10.0.0.0/16"
    logs_kms_key_arn = run.example.logs_kms_key_arn
    private_subnets  = { a = { cidr_block = "10.0.1.0/24", availability_zone = "eu-central-1z" } }
  }

  expect_failures = [aws_subnet.private]
}
