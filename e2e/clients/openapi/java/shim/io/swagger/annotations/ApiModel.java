package io.swagger.annotations;

/** Stands for the annotation of the same name, which the generated code bears and Debian has no package of. */
public @interface ApiModel {
  String value() default "";

  String description() default "";
}
