package io.swagger.annotations;

/** Stands for the annotation of the same name, which the generated code bears and Debian has no package of. */
public @interface ApiModelProperty {
  String value() default "";

  String example() default "";

  boolean required() default false;

  boolean readOnly() default false;
}
