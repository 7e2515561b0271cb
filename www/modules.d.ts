/** The search index, as `{options, index}` in JSON; .ci/pages/search.mjs makes it. */
declare module 'keyward:search-index' {
  const made: string;
  export default made;
}

/** The address of a file of the site. */
declare module '*.wasm?url' {
  const url: string;
  export default url;
}
