package org.openapitools.jackson.nullable;

import com.fasterxml.jackson.databind.module.SimpleModule;

/** Stands for the module of the same name, of which Debian has no package. No field of the contract is nullable. */
public final class JsonNullableModule extends SimpleModule {}
