# SPDX-License-Identifier: Apache-2.0

provider "aws" {
  region              = "eu-central-1"
  allowed_account_ids = ["222222222222"]
}

provider "aws" {
  alias               = "stream"
  region              = "eu-central-1"
  allowed_account_ids = ["111111111111"]
}


run "example" {
  module {
    source = "./examples/minimal"
  }

  providers = {
    aws        = aws
    aws.stream = aws.stream
  }

  assert {
    condition     = length(output.broker_entry.endpoint_ids) == 3
    error_message = "Each broker must have an endpoint."
  }

  assert {
    condition     = can(regex("^b-1[.][^,]+:9096,b-2[.][^,]+:9096,b-3[.][^,]+:9096$", output.broker_entry.bootstrap_servers))
    error_message = "Every broker must be listed by its own name and port, in order of id."
  }
}

run "names_rules_and_acceptance" {
  variables {
    name                      = "entry"
    vpc_id                    = run.example.network.vpc_id
    subnets                   = { only = run.example.network.private_subnets["private_a"] }
    client_security_group_ids = { function = run.example.consumer_security_group_id }
    brokers = {
      "1" = {
        host         = "b-1.entry.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = run.example.stream.services["1"].service_name
        zone_ids     = run.example.stream.services["1"].zone_ids
      }
      "12" = {
        host         = "b-12.entry.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = run.example.stream.services["2"].service_name
        zone_ids     = run.example.stream.services["2"].zone_ids
      }
      "2" = {
        host         = "b-2.entry.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = run.example.stream.services["3"].service_name
        zone_ids     = run.example.stream.services["3"].zone_ids
      }
    }
  }

  assert {
    condition     = alltrue([for id, zone in aws_route53_zone.broker : zone.name == var.brokers[id].host])
    error_message = "Each broker must have a private zone of its own name; a wider zone hides the service and other clusters."
  }

  assert {
    condition     = join(",", keys(aws_route53_record.broker)) == join(",", keys(var.brokers))
    error_message = "Every broker's name must resolve."
  }

  assert {
    condition     = alltrue([for id, record in aws_route53_record.broker : record.fqdn == var.brokers[id].host && record.alias[0].name == aws_vpc_endpoint.broker[id].dns_entry[0].dns_name])
    error_message = "Each zone must have an alias at its apex to the endpoint of the same broker."
  }

  assert {
    condition     = startswith(output.bootstrap_servers, "b-1.") && strcontains(output.bootstrap_servers, "b-2.entry.abcdef.c2.kafka.eu-central-1.amazonaws.com:9096,b-12.")
    error_message = "Brokers must be ordered by number, not by text."
  }

  assert {
    condition = alltrue([
      for rule in aws_vpc_security_group_ingress_rule.client :
      rule.referenced_security_group_id == one(values(var.client_security_group_ids)) && rule.from_port == 9096 && rule.to_port == 9096
    ]) && length(aws_vpc_security_group_ingress_rule.client) == 1
    error_message = "Endpoints must be open on the brokers' port for the consumer's group alone."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.client : rule.security_group_id == one(values(var.client_security_group_ids)) && rule.referenced_security_group_id == aws_security_group.entry.id])
    error_message = "The consumer's group must reach the endpoints' group."
  }

  assert {
    condition     = alltrue([for state in output.states : state == "pendingAcceptance"])
    error_message = "An endpoint that was not accepted must be waiting."
  }
}

run "subnets_in_other_zones_are_refused" {
  command = plan

  variables {
    name                      = "zones"
    vpc_id                    = run.example.network.vpc_id
    subnets                   = { elsewhere = { id = run.example.network.private_subnets["private_a"].id, zone_id = "euc1-az9" } }
    client_security_group_ids = {}
    brokers = {
      "1" = {
        host         = "b-1.zones.abcdef.c2.kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = run.example.stream.services["1"].service_name
        zone_ids     = run.example.stream.services["1"].zone_ids
      }
    }
  }

  expect_failures = [aws_vpc_endpoint.broker]
}

run "a_zone_for_the_whole_service_is_refused" {
  command = plan

  variables {
    name                      = "wide"
    vpc_id                    = run.example.network.vpc_id
    subnets                   = run.example.network.private_subnets
    client_security_group_ids = {}
    brokers = {
      "1" = {
        host         = "kafka.eu-central-1.amazonaws.com"
        port         = 9096
        service_name = run.example.stream.services["1"].service_name
        zone_ids     = run.example.stream.services["1"].zone_ids
      }
    }
  }

  expect_failures = [var.brokers]
}
