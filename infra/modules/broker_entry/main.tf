# SPDX-License-Identifier: Apache-2.0
# The analytics account's side of the private path: per broker an endpoint, and the broker's own name for it.
#
# Flow    broker_exit in the other account ═ private link ═> [broker_entry] -> stream_function, or a long-running consumer.
# Owner   the analytics account.
# Bounds  only the named security groups reach the endpoints, only on the brokers' ports.
# See     infra/README.md: "Acceptance" (the endpoints wait until the stream account has accepted them).

# Fails with the service's name where this account is not among its allowed principals.
data "aws_vpc_endpoint_service" "broker" {
  for_each = var.brokers

  service_name = each.value.service_name
}

locals {
  # A service is offered in zones, named here by the ids that all accounts share.
  subnet_ids = {
    for id, broker in var.brokers : id => [
      for subnet in var.subnets : subnet.id if contains(broker.zone_ids, subnet.zone_id)
    ]
  }
  ports = toset([for broker in var.brokers : tostring(broker.port)])
}

resource "aws_security_group" "entry" {
  name_prefix = "${var.name}-broker-entry-"
  description = "Endpoints of the brokers: the consumers of ${var.name} and nobody else"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-broker-entry" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = {
    for pair in setproduct(keys(var.client_security_group_ids), local.ports) : "${pair[0]} ${pair[1]}" => {
      client = pair[0]
      port   = tonumber(pair[1])
    }
  }

  security_group_id            = aws_security_group.entry.id
  description                  = "Consumer ${each.value.client}"
  referenced_security_group_id = var.client_security_group_ids[each.value.client]
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# The consumers' own groups open towards the endpoints here, since only this module knows both ends.
resource "aws_vpc_security_group_egress_rule" "client" {
  for_each = aws_vpc_security_group_ingress_rule.client

  security_group_id            = each.value.referenced_security_group_id
  description                  = "To the endpoints of the brokers"
  referenced_security_group_id = aws_security_group.entry.id
  ip_protocol                  = "tcp"
  from_port                    = each.value.from_port
  to_port                      = each.value.to_port
}

resource "aws_vpc_endpoint" "broker" {
  for_each = var.brokers

  vpc_id              = var.vpc_id
  service_name        = data.aws_vpc_endpoint_service.broker[each.key].service_name
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.subnet_ids[each.key]
  security_group_ids  = [aws_security_group.entry.id]
  private_dns_enabled = false

  tags = { Name = "${var.name}-broker-${each.key}" }

  lifecycle {
    precondition {
      condition     = length(local.subnet_ids[each.key]) > 0
      error_message = "Broker ${each.key} is offered in zones ${join(", ", each.value.zone_ids)}, and no subnet is in one of them (they are in ${join(", ", [for subnet in var.subnets : subnet.zone_id])})."
    }
  }
}

# One zone per broker, named as the broker: the most specific zone wins, so every other name of the service (its API,
# other clusters) goes on resolving as before. A zone for the whole service would hide them all.
resource "aws_route53_zone" "broker" {
  #checkov:skip=CKV2_AWS_38:DNSSEC signing is for public zones
  #checkov:skip=CKV2_AWS_39:query logging is for public zones
  for_each = var.brokers

  name    = each.value.host
  comment = "Broker ${each.key} of ${var.name} by its own name, so that its certificate matches"

  vpc {
    vpc_id = var.vpc_id
  }
}

resource "aws_route53_record" "broker" {
  for_each = var.brokers

  zone_id = aws_route53_zone.broker[each.key].zone_id
  name    = each.value.host
  type    = "A"

  alias {
    name                   = aws_vpc_endpoint.broker[each.key].dns_entry[0].dns_name
    zone_id                = aws_vpc_endpoint.broker[each.key].dns_entry[0].hosted_zone_id
    evaluate_target_health = false
  }
}
