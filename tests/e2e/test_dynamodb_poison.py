# SPDX-License-Identifier: Apache-2.0
"""The poison records of test_poison.py, with their dead letters in DynamoDB: some are larger than an item may be."""
import test_poison
from culvert_test.runner import main
from dynamodb_case import DynamoDbCase


class PoisonInDynamoDb(DynamoDbCase, test_poison.Poison):
    pass


if __name__ == "__main__":
    main()
