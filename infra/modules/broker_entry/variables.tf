# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the consumers."
  type        = string
}

variable "subnets" {
  description = "Subnets of the endpoints by name, one per zone (as module network gives them)."
  type = map(object({
    id      = string
    zone_id = string
  }))
}

variable "brokers" {
  description = "Brokers by id, as the hand-over document lists them."
  type = map(object({
    host         = string
    port         = number
    service_name = string
    zone_ids     = list(string)
  }))

  validation {
    condition     = alltrue([for broker in var.brokers : can(regex("^b-[0-9]+[.]", broker.host))])
    error_message = "Each broker must be named by its own full name (b-1.<cluster>...): a zone for more than a broker would hide other clusters and the service itself."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of the consumers by name; each gets a rule towards the endpoints, and the endpoints one for it."
  type        = map(string)
}
