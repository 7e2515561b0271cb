/** The exposed shop: calls the provider from the page, so the page must hold the provider's key. */
import { alone, call, openShop, Refused } from './shop.ts';
import { PROVIDER } from './simulated-wire.ts';

// Put in by the build, as front ends are given theirs: whoever loads the script has it.
declare const SMS_API: string;
declare const SMS_API_KEY: string;

const sms = { api: SMS_API || `${PROVIDER}/api/sms`, apiKey: SMS_API_KEY };

const credential = (): string => `Bearer ${sms.apiKey}`;

openShop({
  name: 'The SMS provider',
  async send(message) {
    if (SMS_API === '' && !alone()) throw new Refused('No provider stands behind this copy, and its key opens nothing. “npm start” in the checkout makes one that has a key to throw away.');
    return call('POST', `${sms.api}/messages`, credential(), message);
  },
  follow: (id) => call('GET', `${sms.api}/messages/${id}/events`, credential()),
});
