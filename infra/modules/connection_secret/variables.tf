# SPDX-License-Identifier: Apache-2.0

variable "name" {
  description = "Prefix of every name, one per application."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the cluster."
  type        = string
}

variable "kafka_version" {
  description = "Kafka version in Amazon MSK's spelling."
  type        = string
}

variable "authentication" {
  description = "How consumers authenticate: scram, iam or mtls."
  type        = string

  validation {
    condition     = contains(["scram", "iam", "mtls"], var.authentication)
    error_message = "authentication must be scram, iam or mtls."
  }
}

variable "brokers" {
  description = "Brokers by id. Where consumers come by managed multi-VPC connectivity, service_name is null and zone_ids holds the broker's own zone."
  type = map(object({
    host         = string
    port         = number
    service_name = optional(string)
    zone_ids     = optional(list(string))
  }))
}

variable "client_idle_ms_max" {
  description = "How long clients may keep an idle connection, in milliseconds; null where nothing on the path forgets it."
  type        = number
  default     = null
}

variable "reader_principal_arns" {
  description = "Roles or accounts that may read the document: arn:aws:iam::ACCOUNT:role/NAME or arn:aws:iam::ACCOUNT:root."
  type        = set(string)

  validation {
    condition     = length(var.reader_principal_arns) > 0 && alltrue([for arn in var.reader_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(root|role/.+)$", arn))])
    error_message = "reader_principal_arns must name roles or accounts, at least one; everybody (*) is not accepted."
  }
}

variable "recovery_window_in_days" {
  description = "Days during which the deleted secret can be restored: 0, or 7 to 30."
  type        = number
  default     = 7
}
