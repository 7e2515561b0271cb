// What the build leaves out of the library's numbering plans must not change which country a number belongs to.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { parsePhoneNumberFromString } from 'libphonenumber-js/core';
import examples from 'libphonenumber-js/mobile/examples';
import { numberingPlans } from '../../.ci/build.mjs';

const whole = structuredClone(createRequire(import.meta.url)('libphonenumber-js/metadata.min.json'));
const plans = numberingPlans();
const judge = (number, metadata) => {
  const parsed = parsePhoneNumberFromString(number, metadata);
  return parsed?.isValid() ? (parsed.country ?? '') : undefined;
};

test('every country’s example number, and its neighbours, belong to the same country with and without the formats', () => {
  let valid = 0;
  for (const [country, national] of Object.entries(examples)) {
    const number = `+${whole.countries[country][0]}${national}`;
    for (const near of [number, number.slice(0, -1), `${number}0`, number.replace(/.$/, '9'), number.replace(/(\d)(\d)(\d{4})$/, '$2$1$3')]) {
      assert.equal(judge(near, plans), judge(near, whole), near);
    }
    valid += judge(number, plans) === country;
  }
  assert.ok(valid > 200, `${valid} of ${Object.keys(examples).length} examples belong to their own country`);
});

test('numbers of no country, and numbers that no plan has, are told apart', () => {
  for (const number of ['+80012345678', '+8816123456789', '+999123456789', '+1555', '+4912', '+12125550123']) assert.equal(judge(number, plans), judge(number, whole), number);
  assert.equal(judge('+80012345678', plans), '');
  assert.equal(judge('+999123456789', plans), undefined);
});
