// SPDX-License-Identifier: Apache-2.0
// The one place where Boost.JSON is compiled, from its headers: the static function needs it for two architectures,
// and Debian's library exists as a shared one in the runtime images and for one architecture only.
#include <boost/json/src.hpp>
