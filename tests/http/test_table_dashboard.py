# SPDX-License-Identifier: Apache-2.0
"""`culvert dashboard` of a table in DynamoDB with the lag from Kafka, while one of them hangs or is gone."""
import json
import time
import urllib.error
import urllib.request

from culvert_test.dynamodb import DynamoDbLocal
from culvert_test.kafka import KafkaCluster
from culvert_test.process import wait_until
from culvert_test.runner import CulvertTest, main


class Page:
    """What the page asks the server for."""

    def __init__(self, url):
        self.url = url

    def get(self, path):
        """(status, JSON)."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    @property
    def status(self):
        return self.get("api/v1/status")[1]

    def wait(self, test, what, process, seconds=30):
        return wait_until(lambda: test(self.status), seconds, what, process=process, interval=0.1)


class TableDashboard(CulvertTest):
    def test_dynamodb_with_lag(self):
        kafka = self.own(KafkaCluster(secure=False))
        dynamodb = self.own(DynamoDbLocal())
        kafka.create_topic("readings", 2)
        log = ["-b", kafka.bootstrap, "-t", "readings"]
        table = ["--table", "dynamodb:windows"]
        self.culvert("produce", *log, "--count", "2k", "--rate", "max", "--devices", 10, timeout=60)
        self.culvert("consume", *log, "-G", "windows", *table, "--create-table", "--exit-at-end", timeout=60,
                     env=dynamodb.environment)
        self.culvert("produce", *log, "--count", "300", "--rate", "max", timeout=60)
        process = self.start_culvert("dashboard", *table, *log, "-G", "windows", "--refresh", "300ms",
                                     env=dynamodb.environment)
        page = Page(process.wait_for(r"dashboard: (http://\S+)", 30)[1])
        page.wait(lambda now: now["lag_records"] == 300, "the lag is shown", process)
        self.assertEqual((page.status["state"], page.status["devices"], page.status["records_stored"]),
                         ("table", 10, 2000))
        rows = page.get("api/v1/partitions")[1]["rows"]
        self.assertEqual(sum(row["log_end"] for row in rows), 2300)
        self.assertEqual(sum(row["lag"] for row in rows), 300)
        self.assertEqual(page.get("readyz")[0], 200)

        kafka.kill(1)
        said = page.wait(lambda now: now["lag_records"] is None and now, "the lag is not known any more", process)
        self.assertRegex(said["note"], r"The lag is not known\. Kafka: ")
        self.assertEqual((said["state"], said["records_stored"]), ("table", 2000))
        self.assertEqual(process.stderr().count('"the lag is not known"'), 1)

        # A table that hangs does not take the page with it, nor the end of the program.
        dynamodb.pause()
        time.sleep(1)
        first = page.status["at"]
        page.wait(lambda now: now["at"] >= first + 2000, "the page goes on", process)
        self.assertEqual(page.get("healthz")[0], 200)
        begun = time.monotonic()
        self.assertEqual(process.stop(20), 0)
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_broker_that_is_not_there_is_no_end(self):
        self.culvert("demo", "--duration", "2s", "--table", "sqlite:t.db", timeout=60)
        process = self.start_culvert("dashboard", "--table", "sqlite:t.db", "-b", "127.0.0.1:9", "-t", "readings")
        page = Page(process.wait_for(r"dashboard: (http://\S+)", 30)[1])
        said = page.wait(lambda now: now["note"] and now, "the page says that Kafka does not answer", process)
        self.assertIn("127.0.0.1:9", said["note"])
        self.assertEqual((said["state"], said["devices"], said["lag_records"]), ("table", 20, None))


if __name__ == "__main__":
    main()
