# SPDX-License-Identifier: Apache-2.0
# A private network: subnets, gateway endpoints for what is free, interface endpoints for what is asked for, flow logs.
#
# Flow    accounts/* -> [network] -> every module that has an address.
# Owner   both roots, one network each; nothing routes between the two.
# Bounds  no NAT gateway unless a public subnet is named for it; the VPC's default security group lets nothing through.
# See     infra/README.md: "What it costs".

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

# Zone names differ between accounts, zone ids do not: the other account's endpoint services are matched by id.
data "aws_availability_zones" "this" {
  #checkov:skip=CKV_AWS_394:only looked up by the names that the subnets give; more zones change nothing
  state = "available"
}

locals {
  zone_ids       = zipmap(data.aws_availability_zones.this.names, data.aws_availability_zones.this.zone_ids)
  has_public     = length(var.public_subnets) > 0
  service_prefix = "com.amazonaws.${data.aws_region.this.region}"

  gateway_services = toset(["dynamodb", "s3"])
}

resource "aws_vpc" "this" {
  cidr_block = var.vpc_cidr_block
  # Both are needed for private hosted zones and for the private names of interface endpoints.
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}

resource "aws_subnet" "private" {
  for_each = var.private_subnets

  vpc_id            = aws_vpc.this.id
  cidr_block        = each.value.cidr_block
  availability_zone = each.value.availability_zone

  tags = { Name = "${var.name}-${each.key}" }

  lifecycle {
    precondition {
      condition     = contains(keys(local.zone_ids), each.value.availability_zone)
      error_message = "Subnet ${each.key}: this account has no available zone ${each.value.availability_zone} (it has ${join(", ", keys(local.zone_ids))})."
    }
  }
}

resource "aws_subnet" "public" {
  for_each = var.public_subnets

  vpc_id                  = aws_vpc.this.id
  cidr_block              = each.value.cidr_block
  availability_zone       = each.value.availability_zone
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-private" }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  route_table_id = aws_route_table.private.id
  subnet_id      = each.value.id
}

# ---- the way out to the internet, for public subnets only ----

resource "aws_internet_gateway" "this" {
  count = local.has_public ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_route_table" "public" {
  count = local.has_public ? 1 : 0

  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  count = local.has_public ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  route_table_id = aws_route_table.public[0].id
  subnet_id      = each.value.id
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:the address belongs to the NAT gateway below, which is one resource away
  count = var.nat_gateway_public_subnet == null ? 0 : 1

  domain = "vpc"

  tags = { Name = "${var.name}-nat" }
}

resource "aws_nat_gateway" "this" {
  count = var.nat_gateway_public_subnet == null ? 0 : 1

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[var.nat_gateway_public_subnet].id

  tags = { Name = var.name }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "nat" {
  count = var.nat_gateway_public_subnet == null ? 0 : 1

  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[0].id
}

# ---- ways to AWS services without the internet ----

# What the gateway endpoints let through: this account's own, in both directions. Whoever gets hold of an instance could
# otherwise carry data to a bucket or table of an account of his own.
data "aws_iam_policy_document" "gateway" {
  #checkov:skip=CKV_AWS_109:an endpoint policy grants nothing, it limits what others grant
  #checkov:skip=CKV_AWS_111:an endpoint policy grants nothing, it limits what others grant
  #checkov:skip=CKV_AWS_356:an endpoint policy grants nothing, it limits what others grant
  for_each = local.gateway_services

  statement {
    sid       = "OwnAccountOnly"
    actions   = ["${each.key}:*"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

# Gateway endpoints cost nothing; without them the table's traffic would need a NAT gateway.
resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_services

  vpc_id            = aws_vpc.this.id
  service_name      = "${local.service_prefix}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy            = data.aws_iam_policy_document.gateway[each.key].json

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_security_group" "interface_endpoints" {
  count = length(var.interface_endpoints) > 0 ? 1 : 0

  name_prefix = "${var.name}-aws-services-"
  description = "Endpoints of AWS services: HTTPS from the named groups and from nobody else"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-aws-services" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "interface_endpoints" {
  for_each = length(var.interface_endpoints) > 0 ? var.interface_endpoint_client_security_group_ids : {}

  security_group_id            = aws_security_group.interface_endpoints[0].id
  description                  = "HTTPS from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# The callers' own groups open towards the endpoints here, since only this module knows both ends.
resource "aws_vpc_security_group_egress_rule" "interface_endpoints" {
  for_each = aws_vpc_security_group_ingress_rule.interface_endpoints

  security_group_id            = each.value.referenced_security_group_id
  description                  = "To the endpoints of AWS services"
  referenced_security_group_id = aws_security_group.interface_endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "${local.service_prefix}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.interface_endpoints[0].id]
  private_dns_enabled = true
  policy              = each.value.policy

  tags = { Name = "${var.name}-${each.key}" }
}

# ---- flow logs ----

resource "aws_cloudwatch_log_group" "flow" {
  #checkov:skip=CKV_AWS_338:retention is an input; 30 days is the default of the system that culvert replaces
  name_prefix       = "/${var.name}/network/flow-"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_kms_key_arn
}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

data "aws_iam_policy_document" "flow" {
  statement {
    sid       = "WriteFlowLogs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.flow.arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  name_prefix        = "${var.name}-flow-logs-"
  description        = "VPC flow logs of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.flow_trust.json
}

resource "aws_iam_role_policy" "flow" {
  name   = "write-flow-logs"
  role   = aws_iam_role.flow.name
  policy = data.aws_iam_policy_document.flow.json
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = var.flow_log_traffic
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  max_aggregation_interval = 60

  tags = { Name = var.name }

  depends_on = [aws_iam_role_policy.flow]
}
