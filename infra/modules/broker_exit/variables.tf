# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the brokers."
  type        = string
}

variable "subnets" {
  description = "Subnets of the load balancers by name, one per zone that consumers' endpoints may be in."
  type = map(object({
    id      = string
    zone_id = string
  }))
}

variable "brokers" {
  description = "Brokers by id: host is the broker's own name, address where it is at the moment."
  type = map(object({
    host    = string
    address = string
  }))

  validation {
    condition     = alltrue([for id in keys(var.brokers) : can(regex("^[1-9][0-9]?$", id))])
    error_message = "Brokers are keyed by id, 1 to 99."
  }
}

variable "port" {
  description = "Port of the brokers' listener. Clients use it through the whole path, since they connect to host:port as the broker announces it."
  type        = number
}

variable "broker_security_group_id" {
  description = "Security group of the brokers; gets a rule for the load balancers."
  type        = string
}

variable "allowed_principal_arns" {
  description = "Roles or accounts that may ask for an endpoint: arn:aws:iam::ACCOUNT:role/NAME or arn:aws:iam::ACCOUNT:root."
  type        = set(string)

  validation {
    condition     = alltrue([for arn in var.allowed_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(root|role/.+)$", arn))])
    error_message = "Each principal must be a named role or account; everybody (*) is not accepted."
  }
}

variable "accepted_endpoints" {
  description = "Endpoints that may come through, by consumer and broker id, as the analytics root prints them: { analytics = { \"1\" = \"vpce-...\" } }."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = alltrue([for endpoints in var.accepted_endpoints : alltrue([for id in keys(endpoints) : contains(keys(var.brokers), id)])])
    error_message = "accepted_endpoints names a broker id that the cluster does not have."
  }
}

variable "idle_timeout_seconds" {
  description = "After how long an idle connection is forgotten, 60 to 6000. Clients' connections.max.idle.ms must be below it."
  type        = number
  default     = 900

  validation {
    condition     = var.idle_timeout_seconds >= 60 && var.idle_timeout_seconds <= 6000
    error_message = "idle_timeout_seconds must be 60 to 6000."
  }
}

variable "deletion_protection" {
  description = "Protect the load balancers from being deleted."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms notify."
  type        = list(string)
  default     = []
}
