# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["111111111111"]
}

run "example" {
  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = length(distinct([for s in output.services : s.service_name])) == 3
    error_message = "Each broker must have an endpoint service of its own."
  }

  assert {
    condition     = alltrue([for s in output.services : length(s.zone_ids) == 3])
    error_message = "Each service must offer all three zones."
  }
}

run "a_second_cluster_beside_it" {
  variables {
    name                     = "second"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnets                  = run.example.cluster.subnets
    brokers                  = run.example.cluster.kafka_cluster.brokers
    port                     = 9096
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    allowed_principal_arns   = ["arn:aws:iam::222222222222:role/deploy"]
  }

  assert {
    condition     = alltrue([for id, lb in aws_lb.broker : startswith(lb.name, "b${id}-") && length(lb.name) <= 32])
    error_message = "Load balancers must have names that no other cluster's have."
  }

  assert {
    condition     = alltrue([for id, lb in aws_lb.broker : lb.security_groups == toset([aws_security_group.exit.id])])
    error_message = "Load balancers must have their security group from the start."
  }

  assert {
    condition     = alltrue([for lb in aws_lb.broker : lb.enforce_security_group_inbound_rules_on_private_link_traffic == "off"])
    error_message = "Rules on private link traffic must be set on purpose: on, without a rule, they drop it silently."
  }

  assert {
    condition     = alltrue([for lb in aws_lb.broker : lb.enable_cross_zone_load_balancing && lb.internal && lb.enable_deletion_protection])
    error_message = "Load balancers must be internal, protected, and reach a target in any zone."
  }

  assert {
    condition     = alltrue([for l in aws_lb_listener.broker : l.port == 9096 && l.tcp_idle_timeout_seconds == 900])
    error_message = "Listeners must have the brokers' port and an idle time-out of their own."
  }

  assert {
    condition     = output.client_idle_ms_max < 900 * 1000
    error_message = "Clients must give idle connections up before the load balancer forgets them."
  }

  assert {
    condition     = alltrue([for id, a in aws_lb_target_group_attachment.broker : a.target_id == var.brokers[id].address && a.port == 9096])
    error_message = "Each target group must hold its own broker's address, by id."
  }

  assert {
    condition     = alltrue([for s in aws_vpc_endpoint_service.broker : s.acceptance_required])
    error_message = "Endpoints must be accepted by hand."
  }

  assert {
    condition     = alltrue([for p in aws_vpc_endpoint_service_allowed_principal.broker : p.principal_arn == "arn:aws:iam::222222222222:role/deploy"]) && length(aws_vpc_endpoint_service_allowed_principal.broker) == 3
    error_message = "Only the named role may ask for an endpoint."
  }

  assert {
    condition = alltrue([
      aws_vpc_security_group_egress_rule.to_brokers.referenced_security_group_id == var.broker_security_group_id,
      aws_vpc_security_group_egress_rule.to_brokers.from_port == 9096 && aws_vpc_security_group_egress_rule.to_brokers.to_port == 9096,
      aws_vpc_security_group_ingress_rule.brokers.from_port == 9096 && aws_vpc_security_group_ingress_rule.brokers.to_port == 9096,
    ])
    error_message = "The load balancers must reach the brokers' port and nothing else."
  }
}

# Deletion protection must be off before a destroy, as for real.
run "protection_off_before_the_end" {
  variables {
    name                     = "second"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnets                  = run.example.cluster.subnets
    brokers                  = run.example.cluster.kafka_cluster.brokers
    port                     = 9096
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    allowed_principal_arns   = ["arn:aws:iam::222222222222:role/deploy"]
    deletion_protection      = false
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    name                     = "open"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnets                  = run.example.cluster.subnets
    brokers                  = run.example.cluster.kafka_cluster.brokers
    port                     = 9096
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    allowed_principal_arns   = ["*"]
  }

  expect_failures = [var.allowed_principal_arns]
}

run "an_endpoint_of_no_broker_is_refused" {
  command = plan

  variables {
    name                     = "second"
    vpc_id                   = run.example.cluster.network.vpc_id
    subnets                  = run.example.cluster.subnets
    brokers                  = run.example.cluster.kafka_cluster.brokers
    port                     = 9096
    broker_security_group_id = run.example.cluster.kafka_cluster.security_group_id
    allowed_principal_arns   = ["arn:aws:iam::222222222222:role/deploy"]
    deletion_protection      = false
    accepted_endpoints       = { analytics = { "7" = "vpce-00000000000000000" } }
  }

  expect_failures = [var.accepted_endpoints]
}
