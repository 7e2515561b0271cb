/** The search index, as `{options, index}` in JSON; .ci/pages/search.mjs makes it. */
declare module 'keyward:search-index' {
  const made: string;
  export default made;
}

/** The address of a file that the build puts beside the scripts. */
declare module '*.wasm?url' {
  const address: string;
  export default address;
}
