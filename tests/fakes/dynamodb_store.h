// SPDX-License-Identifier: Apache-2.0
// The tables of the DynamoDB fake and the operations on them, without HTTP.
//
// Flow    DynamoDbFake -> [DynamoDbStore::run] -> status and body.
// Owner   DynamoDbFake, which serialises the calls.
// Time    none.
// Bounds  400 KB an item, 38 digits a number, page_bytes a page: refused or cut as DynamoDB does.
// See     dynamodb_fake.h.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace culvert::fakes {

struct StoreReply {
  int status = 200;
  std::string body = "{}";
};

[[nodiscard]] StoreReply error_reply(int status, std::string_view type, std::string_view message);

class DynamoDbStore {
 public:
  StoreReply run(const std::string& operation, const boost::json::object& request);

  void create(const std::string& name, const boost::json::object& request);
  [[nodiscard]] std::vector<boost::json::object> items(const std::string& name) const;
  [[nodiscard]] std::string time_to_live(const std::string& name) const;
  void put_raw(const std::string& name, boost::json::object item);
  void remove(const std::string& name, const boost::json::object& key);

  std::size_t page_bytes = 1 << 20;
  std::size_t batch_keys_most = 100;
  int creating_calls = 0;

 private:
  struct KeyLess {
    bool operator()(const boost::json::value& a, const boost::json::value& b) const;
  };
  using Range = std::map<boost::json::value, boost::json::object, KeyLess>;
  struct Table {
    boost::json::object description;
    std::string hash, hash_type, range, range_type;
    int creating = 0;
    std::string time_to_live;
    std::map<boost::json::value, Range, KeyLess> items;
  };

  StoreReply put(Table& table, const boost::json::object& request);
  StoreReply get(Table& table, const boost::json::object& request);
  StoreReply batch_get(const boost::json::object& request);
  StoreReply read_pages(Table& table, const boost::json::object& request, bool query);
  StoreReply create_table(const boost::json::object& request);
  StoreReply describe(Table& table);
  const boost::json::object* find(const Table& table, const boost::json::object& key) const;
  // Empty if the key attributes are there and of the table's types; else why not.
  static std::string key_error(const Table& table, const boost::json::object& key);

  std::map<std::string, Table> tables_;
};

}  // namespace culvert::fakes
