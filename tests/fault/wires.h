/* wires.h - Twilio's wire as providers of other kinds would speak it, for the fault points.
 *
 * Twilio takes no key and cannot be asked for our reference; its callbacks name the attempt. These
 * say the same to the sandbox and differ in what an attempt can be settled by:
 *
 *   test-back  callbacks, and no list to be searched
 *   test-key   a repeat with the same key is dropped   (Idempotency-Key), no callbacks
 *   test-look  can be asked for our reference, and its "no" is believed    no callbacks
 *   test-mute  neither, and no callbacks: nobody can tell
 *
 * Compiled into builds with fault points only.
 */
#ifndef TELEHUB_TESTS_FAULT_WIRES_H
#define TELEHUB_TESTS_FAULT_WIRES_H

#include "common/provider.h"

extern const struct provider_ops fault_wire_back;
extern const struct provider_ops fault_wire_key;
extern const struct provider_ops fault_wire_look;
extern const struct provider_ops fault_wire_mute;

#endif
